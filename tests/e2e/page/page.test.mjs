// The page in a headless Chromium, driven over its debugging pipe: HEARTH_URL is the server, CHROMIUM the program.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, before, test } from 'node:test';

const url = process.env.HEARTH_URL;
const patience = 20000;
let browser;
let session;
let number = 0;
const waiting = new Map();

function call(method, params = {}, sessionId = session) {
  return new Promise((resolve, reject) => {
    const id = ++number;
    waiting.set(id, (message) => message.error ? reject(new Error(message.error.message)) : resolve(message.result));
    browser.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
  });
}

async function evaluate(expression) {
  const { result, exceptionDetails } = await call('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true });
  if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
  return result.value;
}

async function until(expression) {
  for (const end = Date.now() + patience; Date.now() < end;) {
    if (await evaluate(expression)) return;
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
  assert.fail(`never true: ${expression}; the page says: ${await evaluate('document.body.innerText')}`);
}

const ask = (text) => evaluate(
  `document.getElementById('prompt').value = ${JSON.stringify(text)}; document.getElementById('ask').requestSubmit()`);

before(async () => {
  browser = spawn(process.env.CHROMIUM, ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage',
    `--user-data-dir=${process.env.PROFILE}`, '--remote-debugging-pipe', 'about:blank'],
  { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] });
  let held = '';
  browser.stdio[4].on('data', (part) => {
    held += part;
    for (let end = held.indexOf('\0'); end >= 0; end = held.indexOf('\0')) {
      const message = JSON.parse(held.slice(0, end));
      held = held.slice(end + 1);
      waiting.get(message.id)?.(message);
      waiting.delete(message.id);
    }
  });
  const { targetId } = await call('Target.createTarget', { url: 'about:blank' }, undefined);
  session = (await call('Target.attachToTarget', { targetId, flatten: true }, undefined)).sessionId;
  await call('Emulation.setDeviceMetricsOverride', { width: 390, height: 700, deviceScaleFactor: 1, mobile: false });
  await call('Page.navigate', { url });
  await until("document.readyState === 'complete' && document.getElementById('model')?.options.length > 0");
});

after(() => browser.kill());

const idle = process.env.HEARTH_IDLE_GPU; // why a GPU of this server is not used
test('a GPU that is not used is named, with the reason', { skip: idle ? false : 'every GPU of this server is used' }, async () => {
  await until(`!document.getElementById('idle').hidden && document.getElementById('idle').textContent.includes(${JSON.stringify(idle)})`);
  assert.match(await evaluate("document.getElementById('idle').textContent"), /is not used/);
});

test('models can be picked', async () => {
  assert.match(await evaluate("document.getElementById('model').selectedOptions[0].textContent"), /ember:latest/);
});

test('a question is answered, with its speed and what is loaded where', async () => {
  await ask('How do I see which models are loaded?');
  await until("/tokens\\/s/.test(document.querySelector('article.assistant .tools small')?.textContent)");
  assert.match(await evaluate("document.querySelector('article.assistant').textContent"), /hearth ps/);
  await until("/ember:latest.*on .*weights \\d.*cache \\d.*compute \\d/.test(document.getElementById('loaded').textContent)");
});

test('an answer becomes elements, never a script', async () => {
  const html = await evaluate(`(() => { const d = document.createElement('div');
    markdown(d, '## T\\n\\n**b** \`c\` <img src=x onerror=1>\\n\\n- one\\n- two\\n\\n\`\`\`\\n<i>\\n\`\`\`\\n\\n1. a'); return d.innerHTML; })()`);
  assert.equal(html, '<h2>T</h2><p><strong>b</strong> <code>c</code> &lt;img src=x onerror=1&gt;</p>' +
    '<ul><li>one</li><li>two</li></ul><div class="code"><pre><code>&lt;i&gt;</code></pre><button type="button">Copy</button></div>' +
    '<ol><li>a</li></ol>');
  const more = await evaluate(`(() => { const d = document.createElement('div');
    markdown(d, '| a | b |\\n|---|---|\\n| 1 | [x](https://x.org/y) |\\n\\n> q\\n\\n[no](javascript:alert(1))\\n\\n---'); return d.innerHTML; })()`);
  assert.equal(more, '<div class="table"><table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td><a href="https://x.org/y" target="_blank" ' +
    'rel="noopener noreferrer">x</a></td></tr></table></div><blockquote>q</blockquote><p>[no](javascript:alert(1))</p><hr>');
});

test('an error is said in the conversation', async () => {
  await evaluate("document.getElementById('model').selectedOptions[0].value = 'nosuch'");
  await ask('hello');
  await until("/model 'nosuch' not found/.test(document.querySelector('article.error')?.textContent)");
  await evaluate("document.getElementById('model').selectedOptions[0].value = 'ember'");
});

test('settings are sent, an answer is tried again, and a reload keeps the conversation', async () => {
  await evaluate(`window.sent = []; window.plain = window.fetch; window.fetch = (path, init) => {
    if (path === '/api/chat') sent.push(JSON.parse(init.body)); return plain(path, init); };
    document.getElementById('tune').click(); document.getElementById('temperature').value = '0.5';
    document.getElementById('system').value = 'Be brief.'`);
  await ask('What is 3 + 4?');
  const answers = await evaluate("document.querySelectorAll('.tools').length");
  await until(`document.querySelectorAll('.tools').length > ${answers - 0} || (sent.length === 1 && !running)`);
  await evaluate("[...document.querySelectorAll('article.assistant:last-of-type .tools button')].at(-1).click()");
  await until('sent.length === 2 && !running');
  const sent = await evaluate('sent');
  assert.equal(sent[0].options.temperature, 0.5);
  assert.deepEqual(sent[0].messages[0], { role: 'system', content: 'Be brief.' });
  assert.deepEqual(sent[0].messages, sent[1].messages);
  const count = await evaluate('messages.length');
  await call('Page.reload');
  await until(`document.readyState === 'complete' && typeof messages !== 'undefined' && messages.length === ${count} && document.querySelectorAll('article').length > 1`);
});

test('a model can be unloaded', async () => {
  await until("document.querySelector('.model button')");
  await evaluate("document.querySelector('.model button').click()");
  await until("document.getElementById('loaded').textContent === 'No model is loaded.'");
});

test('it fits a phone', async () => {
  assert.ok(await evaluate('document.documentElement.scrollWidth <= 390'));
});

test('a new conversation begins empty', async () => {
  await evaluate("document.getElementById('clear').click()");
  assert.equal(await evaluate("document.querySelectorAll('article').length"), 0);
});
