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

test('models can be picked', async () => {
  assert.match(await evaluate("document.getElementById('model').selectedOptions[0].textContent"), /ember:latest/);
});

test('a question is answered, with its speed and what is loaded where', async () => {
  await ask('How do I see which models are loaded?');
  await until("/tokens\\/s/.test(document.querySelector('article.assistant small')?.textContent)");
  assert.match(await evaluate("document.querySelector('article.assistant').textContent"), /hearth ps/);
  await until("/ember:latest on cpu: weights/.test(document.getElementById('loaded').textContent)");
});

test('an answer becomes elements, never a script', async () => {
  const html = await evaluate(`(() => { const d = document.createElement('div');
    markdown(d, '## T\\n\\n**b** \`c\` <img src=x onerror=1>\\n\\n- one\\n- two\\n\\n\`\`\`\\n<i>\\n\`\`\`\\n\\n1. a'); return d.innerHTML; })()`);
  assert.equal(html, '<h2>T</h2><p><strong>b</strong> <code>c</code> &lt;img src=x onerror=1&gt;</p>' +
    '<ul><li>one</li><li>two</li></ul><pre><code>&lt;i&gt;</code></pre><ol><li>a</li></ol>');
});

test('an error is said in the conversation', async () => {
  await evaluate("document.getElementById('model').selectedOptions[0].value = 'nosuch'");
  await ask('hello');
  await until("/model 'nosuch' not found/.test(document.querySelector('article.error')?.textContent)");
  await evaluate("document.getElementById('model').selectedOptions[0].value = 'ember'");
});

test('it fits a phone', async () => {
  assert.ok(await evaluate('document.documentElement.scrollWidth <= 390'));
});

test('a new conversation begins empty', async () => {
  await evaluate("document.getElementById('clear').click()");
  assert.equal(await evaluate("document.querySelectorAll('article').length"), 0);
});
