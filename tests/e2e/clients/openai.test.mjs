// The official OpenAI client against a hearth server.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import OpenAI from 'openai';

const client = new OpenAI({ baseURL: `${process.env.HEARTH_URL}/v1`, apiKey: 'unused', maxRetries: 0 });
const model = 'ember';
const embedder = process.env.HEARTH_EMBEDDER;
const ask = (content, more = {}) => ({ model, temperature: 0, messages: [{ role: 'user', content }], ...more });

test('a chat is answered whole', async () => {
  const reply = await client.chat.completions.create(ask('What is 3 + 4?'));
  assert.match(reply.choices[0].message.content, /7/);
  assert.equal(reply.choices[0].finish_reason, 'stop');
  assert.equal(reply.usage.total_tokens, reply.usage.prompt_tokens + reply.usage.completion_tokens);
});

test('a chat streams, with usage at the end', async () => {
  let text = '';
  let usage;
  const stream = await client.chat.completions.create(
    ask([{ type: 'text', text: 'How do I see which models are loaded?' }], { stream: true, stream_options: { include_usage: true } }));
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta?.content ?? '';
    usage = chunk.usage ?? usage;
  }
  assert.match(text, /hearth ps/);
  assert.ok(usage.completion_tokens > 0);
});

test('several choices and log probabilities', async () => {
  const reply = await client.chat.completions.create(ask('What is 1 + 1?', { n: 3, logprobs: true, top_logprobs: 1 }));
  assert.equal(reply.choices.length, 3);
  assert.ok(reply.choices.every((c) => c.logprobs.content.length > 0));
});

test('a limit is obeyed and told', async () => {
  const reply = await client.chat.completions.create(ask('Who are you?', { max_completion_tokens: 2 }));
  assert.equal(reply.choices[0].finish_reason, 'length');
  assert.equal(reply.usage.completion_tokens, 2);
});

test('a stream is cut off in the middle', async () => {
  const stream = await client.chat.completions.create(ask('How do I see which models are loaded?', { stream: true }));
  for await (const chunk of stream) {
    assert.ok(chunk.id.startsWith('chatcmpl-'));
    break;
  }
});

test('old completions', async () => {
  const reply = await client.completions.create({ model, prompt: 'What is 2 + 2?', temperature: 0 });
  assert.match(reply.choices[0].text, /4/);
});

test('embeddings, as base64 by default', async () => {
  const reply = await client.embeddings.create({ model: embedder, input: ['one', 'two'] });
  assert.equal(reply.data.length, 2);
  assert.ok(Math.abs(reply.data[0].embedding.reduce((sum, x) => sum + x * x, 0) - 1) < 1e-4);
  const plain = await client.embeddings.create({ model: embedder, input: 'one', encoding_format: 'float' });
  assert.deepEqual(plain.data[0].embedding.map((x) => x.toFixed(4)), Array.from(reply.data[0].embedding, (x) => x.toFixed(4)));
});

test('models are listed', async () => {
  const ids = [];
  for await (const m of client.models.list()) ids.push(m.id);
  assert.ok(ids.includes('ember:latest'));
  assert.equal((await client.models.retrieve('ember')).id, 'ember');
});

test('errors carry status and type', async () => {
  await assert.rejects(client.chat.completions.create({ model: 'nosuch', messages: [{ role: 'user', content: 'x' }] }),
    (e) => e instanceof OpenAI.NotFoundError && e.type === 'not_found_error');
  await assert.rejects(client.chat.completions.create({ model, messages: [] }), OpenAI.BadRequestError);
  await assert.rejects(client.chat.completions.create(ask('x', { response_format: { type: 'xml' } })), OpenAI.BadRequestError);
  await assert.rejects(client.embeddings.create({ model: embedder, input: [] }), OpenAI.BadRequestError);
});

test('structured output is what the schema says', async () => {
  const schema = { type: 'object', properties: { ok: { type: 'boolean' }, note: { type: ['string', 'null'], maxLength: 10 } }, required: ['ok', 'note'], additionalProperties: false };
  const reply = await client.chat.completions.create(
    ask('Is it so?', { response_format: { type: 'json_schema', json_schema: { name: 'answer', strict: true, schema } } }));
  const answer = JSON.parse(reply.choices[0].message.content);
  assert.equal(typeof answer.ok, 'boolean');
  const object = await client.chat.completions.create(ask('x', { response_format: { type: 'json_object' }, max_tokens: 60 }));
  assert.ok(object.choices[0].message.content.startsWith('{'));
});

const random = process.env.HEARTH_RANDOM_MODEL; // random weights: what it says is a call only if it must be one
const tools = ['paint', 'draw'].map((name) => ({ type: 'function', function: { name, parameters: { type: 'object',
  properties: { color: { enum: ['red', 'blue'] }, times: { type: 'integer', minimum: 0, maximum: 9 } },
  required: ['color', 'times'] } } }));
const paint = (more) => ({ model: random, messages: [{ role: 'user', content: 'x' }], tools, parallel_tool_calls: false, temperature: 1.2, ...more });
const check = (call, name) => {
  assert.ok(name ? call.function.name === name : ['paint', 'draw'].includes(call.function.name));
  const args = JSON.parse(call.function.arguments);
  assert.ok(['red', 'blue'].includes(args.color) && args.times >= 0 && args.times <= 9);
};

test('calls of tools can be demanded, and are what the schema says', async () => {
  for (let seed = 1; seed <= 3; seed++) {
    const reply = await client.chat.completions.create(paint({ tool_choice: 'required', seed }));
    assert.equal(reply.choices[0].finish_reason, 'tool_calls');
    assert.equal(reply.choices[0].message.tool_calls.length, 1);
    check(reply.choices[0].message.tool_calls[0]);
  }
  const named = await client.chat.completions.create(paint({ tool_choice: { type: 'function', function: { name: 'draw' } } }));
  check(named.choices[0].message.tool_calls[0], 'draw');
  const calls = [];
  for await (const chunk of await client.chat.completions.create(paint({ tool_choice: 'required', stream: true }))) {
    calls.push(...(chunk.choices[0]?.delta?.tool_calls ?? []));
  }
  check(calls[0]);
  const response = await client.responses.create({ model: random, input: 'x', tool_choice: 'required', parallel_tool_calls: false,
    tools: tools.map((t) => ({ type: 'function', ...t.function })) });
  const item = response.output.find((o) => o.type === 'function_call');
  check({ function: item });
  const none = await client.chat.completions.create(paint({ tool_choice: 'none', max_tokens: 5 }));
  assert.equal(none.choices[0].message.tool_calls, undefined);
});

test('tokens are prompts and inputs too', async () => {
  const text = await client.embeddings.create({ model: embedder, input: [[72, 105], [72]], encoding_format: 'float' });
  assert.equal(text.data.length, 2);
  const reply = await client.completions.create({ model: random, prompt: [72, 105], max_tokens: 3 });
  assert.equal(reply.usage.prompt_tokens, 2);
  await assert.rejects(client.embeddings.create({ model: embedder, input: [[99999999]] }), OpenAI.BadRequestError);
});

test('responses, whole and as a stream', async () => {
  const whole = await client.responses.create({ model, temperature: 0, instructions: 'Be brief.', input: 'What is 3 + 4?' });
  assert.equal(whole.status, 'completed');
  assert.match(whole.output_text, /7/);
  assert.ok(whole.usage.output_tokens > 0);
  const stream = client.responses.stream({ model, temperature: 0, input: [{ role: 'user', content: [{ type: 'input_text', text: 'What is 3 + 4?' }] }] });
  let text = '';
  let numbers = [];
  for await (const event of stream) {
    numbers.push(event.sequence_number);
    if (event.type === 'response.output_text.delta') text += event.delta;
  }
  assert.match(text, /7/);
  assert.deepEqual(numbers, numbers.map((_, i) => i));
  const cut = await client.responses.create({ model, input: 'Who are you?', max_output_tokens: 2 });
  assert.equal(cut.status, 'incomplete');
  await assert.rejects(client.responses.create({ model, input: [{ type: 'input_file' }] }), OpenAI.BadRequestError);
});
