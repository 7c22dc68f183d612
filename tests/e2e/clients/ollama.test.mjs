// The official Ollama client against a hearth server.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ollama } from 'ollama';

const host = process.env.HEARTH_URL;
const model = 'ember';
const random = process.env.HEARTH_RANDOM_MODEL; // random weights: for what needs a template with tools
const embedder = process.env.HEARTH_EMBEDDER;
const client = new Ollama({ host });
const ask = (content, more = {}) => ({ model, messages: [{ role: 'user', content }], ...more });

test('a chat is answered whole', async () => {
  const reply = await client.chat(ask('What is 3 + 4?'));
  assert.match(reply.message.content, /7/);
  assert.equal(reply.done_reason, 'stop');
  assert.ok(reply.eval_count > 0 && reply.prompt_eval_count > 0 && reply.total_duration > 0);
});

test('a chat streams the same text', async () => {
  const whole = await client.chat(ask('How do I see which models are loaded?'));
  let text = '';
  let last;
  for await (const part of await client.chat(ask('How do I see which models are loaded?', { stream: true }))) {
    text += part.message.content;
    last = part;
  }
  assert.equal(text, whole.message.content);
  assert.equal(last.done, true);
});

test('generate goes on from its context', async () => {
  const first = await client.generate({ model, prompt: 'Who are you?' });
  assert.ok(first.response.length > 0);
  const second = await client.generate({ model, prompt: 'What is 1 + 2?', context: first.context });
  assert.ok(second.prompt_eval_count > first.prompt_eval_count);
});

test('a stream is cut off in the middle', async () => {
  const stream = await client.generate({
    model: random, prompt: 'x', stream: true, raw: true, options: { num_predict: 400, temperature: 0, seed: 1 },
  });
  let parts = 0;
  await assert.rejects(async () => {
    for await (const part of stream) {
      assert.equal(part.done, false);
      if (++parts === 3) stream.abort();
    }
  }, { name: 'AbortError' });
  // The server has let go of it: the model is idle again.
  for (let tries = 0; tries < 50; tries++) {
    const ps = await (await fetch(`${host}/api/ps`)).json();
    if (ps.models.every((m) => m.running === 0)) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.fail('the request still runs');
});

test('options are obeyed', async () => {
  const options = { num_predict: 3, temperature: 0 };
  const reply = await client.chat(ask('How do I see which models are loaded?', { options }));
  assert.equal(reply.eval_count, 3);
  assert.equal(reply.done_reason, 'length');
  const stopped = await client.chat(ask('How do I see which models are loaded?', { options: { stop: ['hearth'] } }));
  assert.ok(!stopped.message.content.includes('hearth'));
});

test('log probabilities come with the text', async () => {
  const reply = await client.chat(ask('What is 2 + 2?', { logprobs: true, top_logprobs: 2 }));
  assert.equal(reply.logprobs.length, reply.eval_count);
  assert.ok(reply.logprobs.every((p) => p.logprob <= 0 && p.top_logprobs.length === 2));
});

test('vectors have length one and the order of their texts', async () => {
  const { embeddings } = await client.embed({ model: embedder, input: ['one', 'two', 'one'] });
  assert.equal(embeddings.length, 3);
  assert.deepEqual(embeddings[0].map((x) => x.toFixed(4)), embeddings[2].map((x) => x.toFixed(4)));
  assert.ok(Math.abs(embeddings[1].reduce((sum, x) => sum + x * x, 0) - 1) < 1e-4);
  const short = await client.embed({ model: embedder, input: 'one', dimensions: 4 });
  assert.equal(short.embeddings[0].length, 4);
  assert.deepEqual((await client.embed({ model: embedder, input: [] })).embeddings, []);
});

test('models are listed, shown, copied and deleted', async () => {
  const listed = await client.list();
  assert.ok(listed.models.some((m) => m.name === 'ember:latest'));
  assert.ok(listed.models.some((m) => m.name === `${random}:latest` && m.details.format === 'gguf'));
  const shown = await client.show({ model: random });
  assert.ok(shown.capabilities.includes('completion'));
  assert.equal(shown.model_info['general.architecture'], 'llama');
  await client.copy({ source: random, destination: 'second' });
  assert.ok((await client.list()).models.some((m) => m.name === 'second:latest'));
  await client.delete({ model: 'second' });
  assert.ok(!(await client.list()).models.some((m) => m.name === 'second:latest'));
});

test('a model is made of another one', async () => {
  const done = await client.create({ model: 'child', from: random, system: 'Be brief.', parameters: { num_predict: 2, stop: ['x'] } });
  assert.equal(done.status, 'success');
  const shown = await client.show({ model: 'child' });
  assert.equal(shown.system, 'Be brief.');
  assert.match(shown.parameters, /num_predict\s+2/);
  assert.match(shown.modelfile, /^FROM /m);
  await client.delete({ model: 'child' });
});

test('what is loaded is told, and goes when asked', async () => {
  await client.generate({ model, prompt: '', keep_alive: '10m' });
  const loaded = (await client.ps()).models.find((m) => m.name === 'ember:latest');
  assert.ok(loaded.size > 0 && new Date(loaded.expires_at) > new Date());
  const gone = await client.generate({ model, prompt: '', keep_alive: 0 });
  assert.equal(gone.done_reason, 'unload');
});

test('errors are the documented ones', async () => {
  await assert.rejects(client.chat({ model: 'nosuch', messages: [{ role: 'user', content: 'x' }] }), (e) => {
    assert.equal(e.status_code, 404);
    assert.match(e.error, /model 'nosuch' not found/);
    return true;
  });
  await assert.rejects(client.chat(ask('x', { tools: [{ type: 'function', function: { name: 'f', parameters: {} } }] })),
    (e) => e.status_code === 400 && /does not support tools/.test(e.error));
  await assert.rejects(client.chat(ask('x', { think: true })), (e) => e.status_code === 400 && /does not support thinking/.test(e.error));
  await assert.rejects(client.chat(ask('x', { options: { temperature: 'hot' } })), (e) => e.status_code === 400 && /temperature/.test(e.error));
  await assert.rejects(client.pull({ model: 'bad//name' }), (e) => e.status_code === 400);
  await assert.rejects(client.embed({ model: 'nosuch', input: 'x' }), (e) => e.status_code === 404 && /not found, try pulling it first/.test(e.error));
});

test('a chat model makes vectors', async () => {
  const answer = await client.embed({ model, input: ['a text', 'another', 'a text'] });
  assert.equal(answer.embeddings.length, 3);
  assert.deepEqual(answer.embeddings[0], answer.embeddings[2]);
  assert.notDeepEqual(answer.embeddings[0], answer.embeddings[1]);
  const length = Math.hypot(...answer.embeddings[0]);
  assert.ok(Math.abs(length - 1) < 1e-4, `length ${length}`);
});

test('structured output is what the schema says', async () => {
  const format = { type: 'object', properties: { colours: { type: 'array', items: { enum: ['red', 'green'] }, minItems: 2, maxItems: 3 } }, required: ['colours'] };
  const reply = await client.chat(ask('Name colours', { format, options: { temperature: 1, num_predict: 200 } }));
  const { colours } = JSON.parse(reply.message.content);
  assert.ok(colours.length >= 2 && colours.every((c) => c === 'red' || c === 'green'));
  await assert.rejects(client.chat(ask('x', { format: { type: 'number', multipleOf: 3 } })), (e) => e.status_code === 400 && /multipleOf/.test(e.error));
});
