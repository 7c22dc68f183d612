// LangChain against a hearth server, over both APIs.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tool } from '@langchain/core/tools';
import { ChatOllama, OllamaEmbeddings } from '@langchain/ollama';
import { ChatOpenAI, OpenAIEmbeddings } from '@langchain/openai';

const host = process.env.HEARTH_URL;
const random = process.env.HEARTH_RANDOM_MODEL;
const embedder = process.env.HEARTH_EMBEDDER;
const configuration = { baseURL: `${host}/v1` };
const openai = (more = {}) => new ChatOpenAI({ model: 'ember', apiKey: 'unused', configuration, temperature: 0, maxRetries: 0, ...more });
const ollama = (more = {}) => new ChatOllama({ model: 'ember', baseUrl: host, temperature: 0, ...more });

for (const [name, chat] of [['ollama', ollama], ['openai', openai]]) {
  test(`${name}: answers, whole and as a stream`, async () => {
    const reply = await chat().invoke('What is 3 + 4?');
    assert.match(reply.content, /7/);
    assert.ok(reply.usage_metadata.output_tokens > 0);
    let text = '';
    for await (const chunk of await chat().stream('What is 3 + 4?')) text += chunk.content;
    assert.equal(text, reply.content);
  });
}

test('structured output', async () => {
  const schema = { title: 'answer', type: 'object', properties: { ok: { type: 'boolean' } }, required: ['ok'], additionalProperties: false };
  for (const model of [ollama().withStructuredOutput(schema, { method: 'jsonSchema' }), openai().withStructuredOutput(schema, { method: 'jsonSchema' })]) {
    assert.equal(typeof (await model.invoke('Is it so?')).ok, 'boolean');
  }
});

test('calls of tools', async () => {
  const paint = tool(() => 'done', { name: 'paint', description: 'paints', schema: { type: 'object', properties: { color: { enum: ['red', 'blue'] } }, required: ['color'] } });
  const reply = await openai({ model: random }).bindTools([paint], { tool_choice: 'required', parallel_tool_calls: false }).invoke('x');
  assert.equal(reply.tool_calls[0].name, 'paint');
  assert.ok(['red', 'blue'].includes(reply.tool_calls[0].args.color));
  assert.ok(await ollama({ model: random, numPredict: 3 }).bindTools([paint]).invoke('x'));
});

test('embeddings', async () => {
  const texts = ['one', 'two'];
  const native = await new OllamaEmbeddings({ model: embedder, baseUrl: host }).embedDocuments(texts);
  const other = await new OpenAIEmbeddings({ model: embedder, apiKey: 'unused', configuration }).embedDocuments(texts);
  assert.deepEqual(native.map((v) => v.map((x) => x.toFixed(4))), other.map((v) => v.map((x) => x.toFixed(4))));
});
