'use strict';
const at = (id) => document.getElementById(id);
const made = (tag, text, name) => {
  const element = document.createElement(tag);
  if (text) element.textContent = text;
  if (name) element.className = name;
  return element;
};
let messages = [];
let running = null; // what stops the answer that is on its way

// ---- markdown: only elements and text nodes are made, so nothing of an answer can become a script ----
function inline(parent, text) {
  const pattern = /`([^`]+)`|\*\*([^*]+)\*\*|\*([^*\s][^*]*)\*|\[([^\]]+)\]\((https?:\/\/[^\s)]+)\)/g;
  let done = 0;
  for (const hit of text.matchAll(pattern)) {
    parent.append(text.slice(done, hit.index));
    if (hit[5]) {
      const a = made('a', hit[4]);
      a.href = hit[5];
      a.target = '_blank';
      a.rel = 'noopener noreferrer';
      parent.append(a);
    } else {
      const tag = hit[1] !== undefined ? 'code' : hit[2] !== undefined ? 'strong' : 'em';
      parent.append(made(tag, hit[1] ?? hit[2] ?? hit[3]));
    }
    done = hit.index + hit[0].length;
  }
  parent.append(text.slice(done));
}

const copyButton = (text) => {
  const button = made('button', 'Copy');
  button.type = 'button';
  button.addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText(text());
      button.textContent = 'Copied';
    } catch {
      button.textContent = 'Not allowed';
    }
    setTimeout(() => { button.textContent = 'Copy'; }, 1500);
  });
  return button;
};

const cells = (line) => line.trim().replace(/^\||\|$/g, '').split('|').map((cell) => cell.trim());

function table(head, rows) {
  const whole = made('table');
  for (const [i, row] of [head, ...rows].entries()) {
    const tr = made('tr');
    for (const text of row) {
      const cell = made(i ? 'td' : 'th');
      inline(cell, text);
      tr.append(cell);
    }
    whole.append(tr);
  }
  const frame = made('div', '', 'table');
  frame.append(whole);
  return frame;
}

function markdown(parent, source) {
  parent.replaceChildren();
  let paragraph = [];
  let list = null;
  const flush = () => {
    if (paragraph.length) {
      const p = made('p');
      paragraph.forEach((line, i) => { if (i) p.append(document.createElement('br')); inline(p, line); });
      parent.append(p);
    }
    paragraph = [];
  };
  const lines = source.split('\n');
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i];
    const fence = line.match(/^\s*(```+|~~~+)/);
    if (fence) {
      flush();
      list = null;
      const body = [];
      for (i++; i < lines.length && !lines[i].trim().startsWith(fence[1]); i++) body.push(lines[i]);
      const frame = made('div', '', 'code');
      const pre = made('pre');
      pre.append(made('code', body.join('\n')));
      frame.append(pre, copyButton(() => body.join('\n')));
      parent.append(frame);
      continue;
    }
    if (line.includes('|') && /^\s*\|?(\s*:?-+:?\s*\|)+\s*:?-*:?\s*$/.test(lines[i + 1] ?? '')) {
      flush();
      list = null;
      const rows = [];
      for (i += 2; i < lines.length && lines[i].includes('|'); i++) rows.push(cells(lines[i]));
      i--;
      parent.append(table(cells(line), rows));
      continue;
    }
    if (/^\s*([-*_])(\s*\1){2,}\s*$/.test(line)) {
      flush();
      list = null;
      parent.append(made('hr'));
      continue;
    }
    const quote = line.match(/^\s*>\s?(.*)/);
    if (quote) {
      flush();
      list = null;
      const block = made('blockquote');
      inline(block, quote[1]);
      parent.append(block);
      continue;
    }
    const item = line.match(/^\s*(?:([-*+])|(\d+)[.)])\s+(.*)/);
    const head = line.match(/^(#{1,6})\s+(.*)/);
    if (item) {
      flush();
      const tag = item[1] ? 'UL' : 'OL';
      if (!list || list.tagName !== tag) parent.append(list = made(tag));
      const li = made('li');
      inline(li, item[3]);
      list.append(li);
    } else if (head) {
      flush();
      list = null;
      const h = made(head[1].length < 3 ? 'h2' : 'h3');
      inline(h, head[2]);
      parent.append(h);
    } else if (!line.trim()) {
      flush();
      list = null;
    } else {
      list = null;
      paragraph.push(line);
    }
  }
  flush();
}

// ---- the server ----
async function json(path) {
  const reply = await fetch(path);
  if (!reply.ok) throw new Error(`${path}: ${reply.status}`);
  return reply.json();
}

async function* lines(reply) {
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  let held = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    held += value;
    const parts = held.split('\n');
    held = parts.pop();
    for (const part of parts) if (part.trim()) yield JSON.parse(part);
  }
  if (held.trim()) yield JSON.parse(held);
}

const mib = (bytes) => bytes >= 2 ** 30 ? `${(bytes / 2 ** 30).toFixed(1)} GiB` : `${Math.round(bytes / 2 ** 20)} MiB`;

// What of a device's memory a model holds, as a bar and in words.
function memory(buffers) {
  const of = (...kinds) => buffers.filter((b) => kinds.includes(b.kind)).reduce((sum, b) => sum + b.bytes, 0);
  const parts = [['weights', of('weights')], ['cache', of('kv')]];
  const whole = buffers.reduce((sum, b) => sum + b.bytes, 0);
  parts.push(['compute', whole - parts[0][1] - parts[1][1]]);
  const bar = made('span', '', 'bar');
  for (const [name, bytes] of parts) {
    const part = made('i', '', name);
    part.style.width = `${whole ? (100 * bytes) / whole : 0}%`;
    bar.append(part);
  }
  return [bar, ...parts.map(([name, bytes]) => made('span', `${name} ${mib(bytes)}`, `key ${name}`))];
}

function loadedModel(m) {
  const row = made('div', '', 'model');
  row.append(made('b', m.name));
  for (const d of m.devices ?? [{ device: m.device, buffers: m.buffers }])
    row.append(made('span', `on ${d.name ?? d.device ?? '?'}`), ...memory(d.buffers ?? []));
  row.append(made('span', `context ${m.context_length}`));
  if (m.running) row.append(made('span', `${m.running} running`));
  if (m.waiting) row.append(made('span', `${m.waiting} waiting`));
  const stop = made('button', 'Unload');
  stop.type = 'button';
  stop.title = 'Give its memory back';
  stop.addEventListener('click', async () => {
    await fetch('/api/generate', { method: 'POST', body: JSON.stringify({ model: m.name, keep_alive: 0 }) });
    showLoaded();
  });
  row.append(stop);
  return row;
}

async function showLoaded() {
  if (document.hidden) return;
  try {
    const { models, idle_gpus: idle = [] } = await json('/api/ps');
    at('idle').textContent = idle.join('\n');
    at('idle').hidden = idle.length === 0;
    if (models.length) at('loaded').replaceChildren(...models.map(loadedModel));
    else at('loaded').textContent = 'No model is loaded.';
  } catch {
    at('loaded').textContent = 'The server does not answer.';
  }
}

async function showModels() {
  const { models } = await json('/api/tags');
  const kept = localStorage.getItem('model');
  const able = models.filter((m) => !(m.capabilities ?? []).includes('embedding'));
  at('model').replaceChildren(...able.map((m) => {
    const option = made('option', `${m.name} (${[m.details.parameter_size, m.details.quantization_level].filter(Boolean).join(', ')})`);
    option.value = m.name;
    option.selected = m.name === kept;
    return option;
  }));
}

// ---- the conversation ----
function addArticle(name) {
  at('empty')?.remove();
  const article = made('article', '', name);
  at('talk').append(article);
  return article;
}

class Answer {
  constructor() {
    this.article = addArticle('assistant');
    this.body = made('div');
    this.state = made('small', 'Waiting for the model', 'wait');
    this.article.append(this.body, this.state);
    this.text = '';
    this.parts = 0;
    this.begin = performance.now();
    this.thought = '';
  }
  // Tokens arrive about one by one: their number so far tells how fast.
  count(what) {
    if (!this.parts++) this.first = performance.now();
    const seconds = (performance.now() - this.first) / 1000;
    const rate = seconds > 0.5 ? `, ${((this.parts - 1) / seconds).toFixed(1)} tokens/s` : '';
    this.state.textContent = what + rate;
  }
  think(part) {
    this.count('Thinking');
    this.thought += part;
    if (!this.details) {
      this.details = made('details');
      this.details.append(made('summary', 'Thinking'), this.thinking = made('div'));
      this.article.prepend(this.details);
    }
    this.thinking.textContent = this.thought;
  }
  say(part) {
    this.count('Answering');
    this.text += part;
    if (this.drawing) return;
    this.drawing = requestAnimationFrame(() => { this.drawing = 0; this.draw(); });
  }
  draw() {
    const talk = at('talk');
    const follows = talk.scrollHeight - talk.scrollTop - talk.clientHeight < 80;
    markdown(this.body, this.text);
    if (follows) talk.scrollTop = talk.scrollHeight;
  }
  note(text) {
    this.state.remove();
    const tools = made('div', '', 'tools');
    tools.append(made('small', text));
    if (this.text) tools.append(copyButton(() => this.text));
    const again = made('button', 'Try again');
    again.type = 'button';
    again.addEventListener('click', () => retry(this));
    tools.append(again);
    this.article.append(tools);
  }
}

// The last answer once more; those before it stay as they are.
function retry(answer) {
  if (running || answer !== last) return;
  if (messages.at(-1)?.role === 'assistant') messages.pop();
  answer.article.remove();
  reply();
}
let last = null;

function request() {
  const body = { model: at('model').value, messages, options: {} };
  if (at('system').value.trim()) body.messages = [{ role: 'system', content: at('system').value.trim() }, ...messages];
  if (at('temperature').value !== '') body.options.temperature = Number(at('temperature').value);
  if (at('context').value !== '') body.options.num_ctx = Number(at('context').value);
  if (at('think').value) body.think = at('think').value === 'true';
  return JSON.stringify(body);
}

// The conversation outlives a reload of the page, in this tab.
const keep = () => sessionStorage.setItem('messages', JSON.stringify(messages));

function statistics(last) {
  const rate = (count, ns) => ns > 0 ? `${(count / (ns / 1e9)).toFixed(1)} tokens/s` : '';
  const notes = [`${last.eval_count ?? 0} tokens`, rate(last.eval_count ?? 0, last.eval_duration ?? 0)];
  if (last.prompt_truncated) notes.push(`${last.prompt_truncated} tokens of the conversation did not fit and were left out`);
  if (last.done_reason === 'length') notes.push('the limit was reached');
  return notes.filter(Boolean).join(', ');
}

async function send(text) {
  messages.push({ role: 'user', content: text });
  addArticle('user').textContent = text;
  await reply();
}

async function reply() {
  const answer = last = new Answer();
  at('talk').scrollTop = at('talk').scrollHeight;
  running = new AbortController();
  at('send').textContent = 'Stop';
  try {
    const got = await fetch('/api/chat', { method: 'POST', signal: running.signal, body: request() });
    for await (const line of lines(got)) {
      if (line.error) throw new Error(line.remedy ? `${line.error} (${line.remedy})` : line.error);
      if (line.message?.thinking) answer.think(line.message.thinking);
      if (line.message?.content) answer.say(line.message.content);
      if (line.done) { answer.draw(); answer.note(statistics(line)); }
    }
    messages.push({ role: 'assistant', content: answer.text });
  } catch (error) {
    answer.draw();
    if (error.name === 'AbortError') {
      answer.note('stopped');
      messages.push({ role: 'assistant', content: answer.text });
    } else {
      messages.pop();
      answer.state.remove();
      if (!answer.text) answer.article.remove();
      addArticle('error').textContent = error.message;
    }
  } finally {
    running = null;
    keep();
    at('send').textContent = 'Send';
    showLoaded();
  }
}

const prompt = at('prompt');
const fit = () => { prompt.style.height = 'auto'; prompt.style.height = `${prompt.scrollHeight + 2}px`; };
prompt.addEventListener('input', fit);
prompt.addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  at('ask').requestSubmit();
});
at('ask').addEventListener('submit', (event) => {
  event.preventDefault();
  if (running) return running.abort();
  const text = prompt.value.trim();
  if (!text || !at('model').value) return;
  prompt.value = '';
  fit();
  send(text);
});
at('clear').addEventListener('click', () => {
  running?.abort();
  messages = [];
  keep();
  at('talk').replaceChildren(made('p', 'A new conversation.'));
  at('talk').firstChild.id = 'empty';
  prompt.focus();
});
at('model').addEventListener('change', () => localStorage.setItem('model', at('model').value));
at('tune').addEventListener('click', () => {
  at('settings').hidden = !at('settings').hidden;
  at('tune').setAttribute('aria-expanded', String(!at('settings').hidden));
});

for (const m of JSON.parse(sessionStorage.getItem('messages') ?? '[]')) {
  messages.push(m);
  const article = addArticle(m.role);
  if (m.role === 'user') article.textContent = m.content;
  else markdown(article, m.content);
}

showModels().catch(() => { at('loaded').textContent = 'The server does not answer.'; });
showLoaded();
setInterval(showLoaded, 5000);
