// The official Anthropic client against a hearth server.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';

const client = new Anthropic({ baseURL: process.env.HEARTH_URL, apiKey: 'unused', maxRetries: 0 });
const model = 'ember';
const ask = (content, more = {}) => ({ model, max_tokens: 60, temperature: 0, messages: [{ role: 'user', content }], ...more });

test('a message is answered whole', async () => {
  const reply = await client.messages.create(ask('What is 3 + 4?'));
  assert.equal(reply.content[0].type, 'text');
  assert.match(reply.content[0].text, /7/);
  assert.equal(reply.stop_reason, 'end_turn');
  assert.ok(reply.usage.input_tokens > 0 && reply.usage.output_tokens > 0);
});

test('a message streams', async () => {
  let text = '';
  const stream = client.messages.stream(ask('How do I see which models are loaded?')).on('text', (part) => { text += part; });
  const whole = await stream.finalMessage();
  assert.equal(whole.content[0].text, text);
  assert.match(text, /hearth ps/);
});

test('a limit is obeyed and told', async () => {
  const reply = await client.messages.create(ask('Who are you?', { max_tokens: 2 }));
  assert.equal(reply.stop_reason, 'max_tokens');
  assert.equal(reply.usage.output_tokens, 2);
});

test('tokens are counted', async () => {
  const counted = await client.messages.countTokens({ model, messages: [{ role: 'user', content: 'What is 3 + 4?' }] });
  const reply = await client.messages.create(ask('What is 3 + 4?'));
  assert.equal(counted.input_tokens, reply.usage.input_tokens);
});

test('errors carry status and type', async () => {
  await assert.rejects(client.messages.create({ model: 'nosuch', max_tokens: 5, messages: [{ role: 'user', content: 'x' }] }),
    (e) => e instanceof Anthropic.NotFoundError && e.error.error.type === 'not_found_error');
  await assert.rejects(client.messages.create({ model, messages: [{ role: 'user', content: 'x' }] }), Anthropic.BadRequestError);
});
