// The npm clients `graphql-ws` and `graphql-sse`, against a running server.
//
//     node clients.mjs http://127.0.0.1:8080/graphql [--token T] [--subscription 'subscription { … }']
//
// Without a subscription of one's own, the toy server's `count(to: 3)` and `ticks` are asked (cargo test --test edge).
import assert from 'node:assert/strict';
import { parseArgs } from 'node:util';
import { createClient as createSseClient } from 'graphql-sse';
import { createClient as createWsClient } from 'graphql-ws';
import WebSocket from 'ws';

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { token: { type: 'string' }, subscription: { type: 'string' } },
});
const [url] = positionals;
if (!url) {
  console.error('Say which server: node clients.mjs http://127.0.0.1:8080/graphql');
  process.exit(2);
}
const authorization = values.token && `Bearer ${values.token}`;

const ws = createWsClient({
  url: url.replace(/^http/, 'ws'),
  webSocketImpl: WebSocket,
  connectionParams: authorization ? { authorization } : {},
  retryAttempts: 0,
});
const sse = createSseClient({ url, headers: authorization ? { authorization } : {}, retryAttempts: 0 });

/** All results of an operation, or the first `most`. */
async function results(client, query, most = Infinity) {
  const found = [];
  for await (const result of client.iterate({ query })) {
    found.push(result);
    if (found.length >= most) break;
  }
  return found;
}

/** What an operation that cannot be begun says: thrown by one client, a result of the other. */
async function refusal(client, query) {
  try {
    const [result] = await results(client, query, 1);
    return result.errors;
  } catch (thrown) {
    assert.ok(Array.isArray(thrown), `no errors of GraphQL: ${thrown?.code} ${thrown?.reason ?? JSON.stringify(thrown)}`);
    return thrown;
  }
}

for (const [name, client] of [['graphql-ws', ws], ['graphql-sse', sse]]) {
  const [answer] = await results(client, '{ __typename }');
  assert.equal(answer.data.__typename, 'Query', name);
  const errors = await refusal(client, '{ thereIsNoSuchField }');
  assert.equal(errors[0].extensions.code, 'GRAPHQL_VALIDATION_FAILED', name);
  if (values.subscription) {
    const [first] = await results(client, values.subscription, 1);
    assert.ok(first.data, `${name}: ${JSON.stringify(first)}`);
  } else {
    const counted = await results(client, 'subscription { count(to: 3) }');
    assert.deepEqual(counted.map(({ data }) => data.count), [1, 2, 3], name);
    const ticks = await results(client, 'subscription { ticks }', 3);
    assert.deepEqual(ticks.map(({ data }) => data.ticks), [0, 1, 2], `${name}: left in the middle`);
    const [first] = await results(client, 'subscription { count(to: 1) }');
    assert.equal(first.data.count, 1, `${name}: and used again`);
  }
  console.log(`${name}: as it should be`);
}

if (!values.subscription) {
  const forged = createWsClient({
    url: url.replace(/^http/, 'ws'),
    webSocketImpl: WebSocket,
    connectionParams: { authorization: 'Bearer forged' },
    retryAttempts: 0,
  });
  await assert.rejects(results(forged, '{ __typename }'), ({ code }) => code === 4403);
  console.log('graphql-ws: a forged token is closed with 4403');
}
await ws.dispose();
sse.dispose();
