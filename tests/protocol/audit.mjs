// The audit of GraphQL over HTTP that the npm package `graphql-http` brings, against a running server.
//
//     node audit.mjs http://127.0.0.1:8080/graphql
//
// Ends with 1 when any audit fails that the specification words as MUST or SHOULD.
import { serverAudits } from 'graphql-http';

const url = process.argv[2];
if (!url) {
  console.error('Say which server: node audit.mjs http://127.0.0.1:8080/graphql');
  process.exit(2);
}

let passed = 0;
const failed = [];
const audits = serverAudits({ url });
for (const audit of audits) {
  const result = await audit.fn();
  if (result.status === 'ok') passed += 1;
  else failed.push(result);
}
for (const { id, name, reason, status } of failed) console.log(`${status}  ${id}  ${name}: ${reason}`);
const binding = failed.filter(({ name }) => /^(MUST|SHOULD)/.test(name));
console.log(`${passed} of ${audits.length} audits passed; ${binding.length} MUST or SHOULD failed`);
process.exitCode = binding.length === 0 ? 0 : 1;
