'use strict';

const ACCEPT = 'application/graphql-response+json, application/json;q=0.9, text/event-stream;q=0.8';

/** Answers of an event stream, as they come. */
async function* answers(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      text += value;
      const events = text.split('\n\n');
      text = events.pop();
      for (const event of events) {
        const lines = event.split('\n');
        if (lines.includes('event: complete')) return;
        const data = lines.find((line) => line.startsWith('data:'));
        if (lines.includes('event: next') && data) yield JSON.parse(data.slice('data:'.length));
      }
    }
  } finally {
    await reader.cancel();
  }
}

async function fetcher(parameters, { headers = {} } = {}) {
  const response = await fetch('/graphql', {
    method: 'POST',
    headers: { ...headers, accept: ACCEPT, 'content-type': 'application/json' },
    body: JSON.stringify(parameters),
  });
  const isStream = (response.headers.get('content-type') ?? '').startsWith('text/event-stream');
  return isStream ? answers(response.body) : response.json();
}

const GREETING = `# Atelier's API. Press Ctrl-Space for what fits, and the book at the left for the whole schema.
#
# Sign in with a mutation, then write under "Headers":
#
#   { "authorization": "Bearer <access token>" }

{
  __typename
}
`;

ReactDOM.createRoot(document.getElementById('graphiql')).render(
  React.createElement(GraphiQL, { fetcher, defaultQuery: GREETING, defaultEditorToolsVisibility: 'headers' }),
);
