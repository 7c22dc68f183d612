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
  const pattern = /`([^`]+)`|\*\*([^*]+)\*\*|\*([^*\s][^*]*)\*/g;
  let done = 0;
  for (const hit of text.matchAll(pattern)) {
    parent.append(text.slice(done, hit.index));
    const tag = hit[1] !== undefined ? 'code' : hit[2] !== undefined ? 'strong' : 'em';
    parent.append(made(tag, hit[1] ?? hit[2] ?? hit[3]));
    done = hit.index + hit[0].length;
  }
  parent.append(text.slice(done));
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
      const pre = made('pre');
      pre.append(made('code', body.join('\n')));
      parent.append(pre);
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

async function showLoaded() {
  try {
    const { models, idle_gpus: idle = [] } = await json('/api/ps');
    at('idle').textContent = idle.join('\n');
    at('idle').hidden = idle.length === 0;
    at('loaded').textContent = models.length === 0 ? 'No model is loaded.' : models.map((m) => {
      const of = (...kinds) => (m.buffers ?? []).filter((b) => kinds.includes(b.kind)).reduce((sum, b) => sum + b.bytes, 0);
      return `${m.name} on ${m.device ?? '?'}: weights ${mib(of('weights'))}, cache ${mib(of('kv'))}, ` +
        `compute ${mib(of('arena', 'workspace', 'results'))}, context ${m.context_length}`;
    }).join('  \u00b7  ');
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
    this.article.append(this.body);
    this.text = '';
    this.thought = '';
  }
  think(part) {
    this.thought += part;
    if (!this.details) {
      this.details = made('details');
      this.details.append(made('summary', 'Thinking'), this.thinking = made('div'));
      this.article.prepend(this.details);
    }
    this.thinking.textContent = this.thought;
  }
  say(part) {
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
  note(text) { this.article.append(made('small', text)); }
}

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
  const answer = new Answer();
  at('talk').scrollTop = at('talk').scrollHeight;
  running = new AbortController();
  at('send').textContent = 'Stop';
  try {
    const reply = await fetch('/api/chat', {
      method: 'POST', signal: running.signal, body: JSON.stringify({ model: at('model').value, messages }),
    });
    for await (const line of lines(reply)) {
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
      addArticle('error').textContent = error.message;
    }
  } finally {
    running = null;
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
  at('talk').replaceChildren(made('p', 'A new conversation.'));
  at('talk').firstChild.id = 'empty';
  prompt.focus();
});
at('model').addEventListener('change', () => localStorage.setItem('model', at('model').value));

showModels().catch(() => { at('loaded').textContent = 'The server does not answer.'; });
showLoaded();
setInterval(showLoaded, 5000);
