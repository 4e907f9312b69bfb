// What iam-simulate, an IAM evaluator that others wrote, answers to questions: a list of {policy, action, resource,
// context} on standard input, a list of its answers on standard output. It is AGPL-licensed: it runs here, in a process of
// its own, and nothing that is shipped knows it. The policy is one of the caller's own account, which decides alone.
import { text } from 'node:stream/consumers';
import { runUnsafeSimulation } from '../../../tools/node_modules/@cloud-copilot/iam-simulate/dist/esm/index.js';

const questions = JSON.parse(await text(process.stdin));
process.stdout.write(JSON.stringify(questions.map(({ policy, action, resource, context }) => runUnsafeSimulation({
  identityPolicies: [{ name: 'authorizer', policy }],
  serviceControlPolicies: [],
  resourceControlPolicies: [],
  request: {
    principal: 'arn:aws:iam::123456789012:user/caller',
    action,
    resource: { resource, accountId: '123456789012' },
    contextVariables: context,
  },
}, {}))));
