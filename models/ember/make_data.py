"""Turns facts.txt into questions and answers: endless training pairs and the fixed held-out set.

    python3 make_data.py                 write heldout.jsonl
    python3 make_data.py --sample 20     print training pairs
    python3 make_data.py --watch FILE    write the v: lines, in the form of heldout.jsonl, for evaluate.py --questions FILE
"""
import argparse
import hashlib
import json
import os
import random
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
LARGEST = 99  # sums and differences use 0 .. LARGEST

# General phrasings, by the kind of thing that a `k:` line names. One of each fact's is held out, chosen by a hash.
KINDS = {
    "cmd": ["what {is|does} hearth X {do|}", "what does {the|} X command do", "{@is} hearth X", "{@is} the X command",
            "hearth X", "X command", "what is {hearth X|the X command|X} for", "when do i use {hearth|} X",
            "help {with|on|for} hearth X", "{meaning|purpose|use} of {hearth X|the X command}", "what does X do",
            "{how does hearth X work|how do i use hearth X|how to use X|usage of hearth X}", "{explain|describe} X"],
    "var": ["what does OLLAMA_X do", "{@is} OLLAMA_X", "OLLAMA_X", "what is {the variable|} {OLLAMA_X|HEARTH_X} for",
            "{meaning|purpose|default} of {OLLAMA_X|HEARTH_X}", "what does HEARTH_X do", "{@is} HEARTH_X", "HEARTH_X",
            "what is the default of {OLLAMA_X|HEARTH_X}", "{what can i set|how do i set|how to set} {OLLAMA_X|HEARTH_X}",
            "{the|} {variable|environment variable|env var} {OLLAMA_X|HEARTH_X}", "which values does OLLAMA_X take"],
    "env": ["what does X do", "{@is} X", "X", "what is {the variable|} X for", "{meaning|purpose|use} of X",
            "{what can i set|how do i set|how to set|how do i use} X", "{the|} {variable|environment variable|env var} X",
            "which values does X take", "does hearth {use|read|support|know} X"],
    "opt": ["what does {the option|the field|} X do", "{@is} X", "X", "{@is} the {option|field|parameter} X",
            "what is X {for|in a request|in the api}", "{meaning|purpose|use} of X", "{the|} {option|field|parameter} X",
            "{how do i use|how do i set|how to use|how to set} X", "what {can i|do i} {send|set|give} {as|for} X"],
    "route": ["what does X do", "{@is} X", "X", "what is {the route|the endpoint|} X for", "{how do i use|how to use|how to call} X",
              "{@is} the {route|endpoint} X", "{meaning|purpose|use} of X", "{the|} {route|endpoint} X",
              "what {does X return|do i get from X|do i send to X}", "does hearth {have|support|know} X"],
    "repl": ["what does X do", "{@is} X", "X", "what is X for", "{how do i use|how to use} X {in the chat|}",
             "{meaning|purpose|use} of X", "{@is} X in the chat", "X in the {chat|repl}", "what happens {with|when i type|on} X"],
    "flag": ["what does {the flag|} X do", "{@is} X", "X", "hearth run X", "what is X for", "{@is} the {flag|option} X", "{meaning|use} of X",
             "{how do i use|how to use} X", "run X"],
    "inst": ["what does X do {in a modelfile|}", "{@is} X in a modelfile", "X {in a modelfile|instruction}", "what is X for in a modelfile",
             "{how do i use|how to use} X {in a modelfile|}", "{@is} the {instruction|modelfile instruction} X", "modelfile X",
             "{meaning|purpose|use} of X in a modelfile"],
    "term": ["{@is} {a|the|} X", "what does {the word|} X mean", "{meaning|definition} of X", "what do you mean by X",
             "X {meaning|explained}", "{explain|define|describe} X {to me|}", "what is meant by X", "i do not know what X is"],
    "code": ["{@is} X", "X", "what does X mean", "{@ask} {fix|solve} X", "hearth doctor {says|shows|reports} X",
             "{doctor|error|finding|cause} X", "what {should i|can i|do i} do about X", "why do i {get|see} X", "{meaning|fix} of X"],
}
SUM = ["{a} + {b}", "{a}+{b}", "{a} + {b} =", "what is {a} + {b}", "what is {a} plus {b}", "how much is {a} plus {b}", "{a} plus {b}",
       "how much is {a} + {b}", "add {a} and {b}", "add {b} to {a}", "the sum of {a} and {b}", "compute {a} + {b}", "what's {a} plus {b}",
       "calculate {a} plus {b}", "sum of {a} and {b}", "what is the sum of {a} and {b}", "can you add {a} and {b}", "{a}+{b}=?"]
DIFFERENCE = ["{a} - {b}", "{a}-{b}", "{a} - {b} =", "what is {a} - {b}", "what is {a} minus {b}", "how much is {a} minus {b}",
              "{a} minus {b}", "how much is {a} - {b}", "subtract {b} from {a}", "take {b} from {a}", "compute {a} - {b}",
              "calculate {a} minus {b}", "what's {a} minus {b}", "what is {a} less {b}", "can you subtract {b} from {a}", "{a}-{b}=?"]
# More ways to ask for a sum or a difference, in training only: the lists above choose the held-out questions.
MORE_SUM = ["{a} and {b} together", "{a} added to {b}", "{b} added to {a}", "what do {a} and {b} make", "what does {a} + {b} make", "{a} plus {b} =",
            "{a} + {b} is", "please add {a} and {b}", "tell me {a} + {b}", "if i have {a} and get {b} more, how many", "total of {a} and {b}",
            "{a} plus {b} is what", "what is the total of {a} and {b}", "work out {a} + {b}", "{a} and {b}, added", "what is {a}+{b}", "add {a} + {b}"]
MORE_DIFFERENCE = ["the difference of {a} and {b}", "difference between {a} and {b}", "{b} taken from {a}", "{b} subtracted from {a}",
                   "what is left of {a} without {b}", "what does {a} - {b} make", "{a} minus {b} =", "{a} - {b} is", "please subtract {b} from {a}",
                   "tell me {a} - {b}", "if i have {a} and lose {b}, how many", "{a} reduced by {b}", "{a} minus {b} is what", "work out {a} - {b}",
                   "{a} take away {b}", "take away {b} from {a}", "what is {a}-{b}", "subtract {a} - {b}", "{a} less {b}", "from {a} subtract {b}",
                   "how much is {a} less {b}", "deduct {b} from {a}"]
# Words that say the same, swapped at random in training questions.
SYNONYMS = {
    "see": ["view", "look at", "check"], "show": ["display", "list"], "which": ["what"], "what": ["which"], "loaded": ["in memory"],
    "delete": ["remove"], "remove": ["delete"], "download": ["get", "pull"], "model": ["llm", "modell"], "models": ["llms"],
    "find": ["locate", "get"], "change": ["set", "modify", "adjust"], "set": ["change", "configure"], "start": ["launch", "begin"],
    "stop": ["end", "halt"], "gpu": ["graphics card", "gpus"], "use": ["work with", "employ"], "make": ["let", "have"], "need": ["require"],
    "prints": ["shows"], "hearth": ["hearth", "this program"], "get": ["obtain", "have"], "limit": ["restrict"],
    "variable": ["environment variable", "setting"], "route": ["endpoint", "url"], "option": ["parameter", "setting"], "folder": ["directory"],
    "answers": ["replies", "responses"], "chat": ["conversation"], "possible": ["doable"], "picture": ["image"],
    "switch": ["turn"], "keep": ["hold"], "big": ["large"], "machine": ["computer"], "file": ["document"], "fast": ["quick"], "works": ["functions"],
    "disk": ["drive", "hard disk", "ssd"], "memory": ["ram", "memory"], "running": ["active", "in use"], "installed": ["on disk", "downloaded", "local"],
    "request": ["call", "query"], "requests": ["calls", "queries"], "number": ["count", "amount"], "card": ["gpu", "board"], "speed": ["pace", "rate"],
    "print": ["show", "output"], "tell": ["say to", "explain to"], "choose": ["pick", "select"], "pick": ["choose", "select"], "select": ["choose", "pick"],
    "error": ["message", "failure"], "says": ["reports", "complains", "prints"], "missing": ["absent", "not there"], "create": ["build", "produce"],
    "build": ["create", "produce"], "open": ["load", "read"], "load": ["open", "bring in"], "send": ["pass", "submit", "give"], "give": ["pass", "hand"],
    "write": ["put", "enter"], "text": ["string", "words"], "help": ["assistance", "support"], "works": ["functions", "runs"], "work": ["function", "run"],
    "default": ["standard", "preset"], "support": ["handle", "know"], "supports": ["handles", "knows"], "happens": ["occurs", "takes place"],
    "long": ["much time", "long"], "kept": ["stored", "held"], "stored": ["kept", "saved"], "save": ["store", "keep"], "where": ["in which place", "where"],
    "container": ["docker", "container image"], "driver": ["drivers", "gpu driver"], "network": ["lan", "net"], "server": ["daemon", "service"],
    "message": ["text", "messages"], "answer": ["reply", "response", "output"], "force": ["make", "require"], "allowed": ["permitted", "valid"],
    "means": ["stands for", "says"], "mean": ["stand for", "say"], "why": ["for what reason", "why", "how come"], "quickly": ["fast"],
    "tokens": ["token", "tokens"], "command": ["cmd", "subcommand"], "flag": ["switch", "option"], "flags": ["switches", "options"],
    "variables": ["settings", "env vars"], "values": ["settings", "choices"], "value": ["setting"], "longer": ["bigger", "larger"],
    "smaller": ["less big", "reduced"], "limits": ["restricts", "caps"], "possible": ["doable", "feasible"], "needed": ["required", "necessary"],
}
# What people put before and after a question, and words that change nothing in it.
BEFORE = ["please", "hey,", "so", "ok,", "question:", "hi,", "and", "hearth:", "hello,", "quick question:", "i would like to know:",
          "can you tell me", "could you tell me", "do you know", "please tell me", "i wonder", "i am new here,", "tell me,", "one question:",
          "excuse me,", "sorry,", "well,", "now", "ember,", "i ask myself", "i was asked", "i have to know", "let me know", "in short,"]
AFTER = ["in hearth", "with hearth", "please", "here", "for hearth", "in this program", "on my machine", "on linux", "on debian", "exactly",
         "at all", "in general", "for me", "thanks", "if possible", "by the way", "these days", "on this computer", "using hearth", "again",
         "in practice", "myself", "in detail", "in short", "on my server", "at work"]
NOISE = """really actually just simply maybe perhaps quickly easily exactly often sometimes usually somehow anyway again also even still
    already soon later yesterday today tonight normally properly correctly directly safely probably certainly basically honestly
    friend colleague boss student user person somebody someone everybody team office project work home desk lab school company customer
    nice good bad young strange odd weird simple hard easy clean quiet happy certain particular special usual normal whole entire own
    thing things stuff bit piece kind sort case point place time day week year morning evening moment while reason matter idea question
    going coming trying looking thinking wondering hoping supposed able allowed willing ready sure afraid glad best better right wrong
    whatever whenever wherever otherwise instead together apart once twice almost nearly quite rather pretty fairly extremely""".split()
DROPPABLE = set("the a an do does i is are can to me of in with my please hearth for how what".split())
# Words that carry no topic, and what a question is wrapped in when only its topic words are kept.
FUNCTION = DROPPABLE | set("""which where when why who whose will would should could may might must shall have has had be been being was were
    there here this that these those it its they them their you your we our us and or not no as at by from on off if so than then too very
    any some all each one ones only just get gets got use uses used make makes made give gives show shows see tell about want need into out up
    hearth command moment right now currently say says said mean means explain describe define know type run""".split())
FRAMES = ["", "", "", "how do i", "how can i", "how does", "what is", "what are", "which", "why", "why does", "why is", "can i", "can hearth",
          "does hearth", "is", "is there", "where is", "where do i find", "when", "i want", "i need", "tell me about", "what about", "who",
          "what happens with", "my", "the", "what should i do with", "explain", "what can i do about", "how many", "do i", "will", "may i",
          "in which", "on which", "is it possible to", "help me with", "something about", "how is", "how are", "must i", "what if"]
GLUE = ["the", "a", "of", "in", "for", "with", "my", "to", "is", "does", "and", "on", "at", "when", "that", "from", "by", "can", "it", "has"]
NO_TOPIC = ("scope", "unknown-command", "unknown-variable", "yes-no", "hello", "how-are-you", "thanks", "bye", "ember-language")
KEYS = "abcdefghijklmnopqrstuvwxyz"


def digest(text):
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def plain(text):
    """The form in which two questions count as the same: lower case, no punctuation at the ends, single blanks."""
    return " ".join(text.lower().replace("`", "").strip(" ?.!").split())


def topic_words(text):
    return [w for w in re.findall(r"[\w/.:-]*[\w/]", re.sub(r"@\w+", " ", text)) if w.lower() not in FUNCTION]


class Fact:
    def __init__(self, name):
        self.name, self.answer, self.kinds, self.questions, self.held, self.watched = name, None, [], [], [], []


def read_facts(path=os.path.join(HERE, "facts.txt")):
    """Parse facts.txt. Returns ({choice name: [alternatives]}, [Fact])."""
    choices, facts = {}, []
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            line = line.rstrip("\n")
            if not line.strip() or line.startswith("#"):
                continue
            if line.startswith("@"):
                name, value = line[1:].split("=", 1)
                choices[name.strip()] = value.strip().split("|")
            elif line.startswith("== "):
                facts.append(Fact(line[3:].strip()))
            elif line[:3] == "a: " and facts[-1].answer is None:
                facts[-1].answer = line[3:]
            elif line[:3] in ("q: ", "h: ", "k: ", "v: "):
                fact = facts[-1]
                {"q": fact.questions, "h": fact.held, "k": fact.kinds, "v": fact.watched}[line[0]].append(line[3:])
            else:
                sys.exit(f"facts.txt:{number}: cannot read this line: {line}")
    for fact in facts:
        if not fact.answer or not fact.questions or not fact.held:
            sys.exit(f"facts.txt: {fact.name} needs an answer, a q: and an h: line")
    return choices, facts


class Source:
    """All questions. `pair(rng)` gives a training pair that is never one of the held-out questions."""

    def __init__(self):
        self.choices, self.facts = read_facts()
        self.lines, self.held = {}, []
        for fact in self.facts:
            self._add(fact)
        self.untrained = {plain(q) for q, _, _, _ in self.held} | {plain(v) for f in self.facts for v in f.watched}
        self._weights = [self._weight(f) for f in self.facts]
        self._topics = {f.name: set(topic_words(" ".join(self.lines[f.name][0] + self.lines[f.name][1]))) for f in self.facts}

    @staticmethod
    def _weight(fact):
        often = {"scope": 48, "ps": 5, "list": 3, "run": 2, "ember-who": 2, "hello": 4, "unknown-command": 3, "unknown-variable": 3,
                 "yes-no": 2, "commands-now": 3}
        return often.get(fact.name, 1)

    def _add(self, fact):
        general = []
        for kind in fact.kinds:
            word, name = kind.split(" ", 1)
            general += [t.replace("X", name) if word != "var" else t.replace("_X", "_" + name) for t in KINDS[word]]
        rng = random.Random(digest(fact.name))
        texts = [(q, "scope" if fact.name == "scope" else "fact") for h in fact.held for q in [self.expand(h, rng)]]
        if general:
            chosen = general.pop(digest(fact.name) % len(general))
            texts.append((self.expand(chosen, rng), "template"))
        # Long lists of general phrasings count less than hand-written ones.
        self.lines[fact.name] = (fact.questions, general)
        self.held += [(q, fact.answer, kind, fact.name) for q, kind in texts]

    def expand(self, text, rng):
        """Resolve {a|b} and {@name}, innermost first; @name may also be one of several: {@how|when}."""
        while True:
            match = re.search(r"\{([^{}]*)\}", text)
            if not match:
                return " ".join(text.split())
            chosen = rng.choice(match.group(1).split("|"))
            if chosen.startswith("@"):
                chosen = rng.choice(self.choices[chosen[1:]])
            text = text[:match.start()] + chosen + text[match.end():]

    def by_topic(self, fact, rng):
        """A loose question of a few topic words that no other fact has together; None if none is found."""
        words = []
        for line in rng.choices(self.lines[fact.name][0], k=rng.choice((1, 1, 2))):
            words += [w for w in topic_words(self.expand(line, rng)) if w in self._topics[fact.name] and w not in words]
        for count in range(1 + rng.randrange(3), 6):
            if count > len(words):
                return None
            chosen = sorted(rng.sample(range(len(words)), count)) if rng.random() < 0.7 else rng.sample(range(len(words)), count)
            chosen = [words[i] for i in chosen]
            if not any(t.issuperset(chosen) for name, t in self._topics.items() if name != fact.name):
                break
        else:
            return None
        text = rng.choice(FRAMES)
        for word in chosen:
            text += (" " + rng.choice(GLUE) if rng.random() < 0.4 else "") + " " + word
        return text.strip()

    def pair(self, rng):
        """(question, answer, kind): a fact, a sum or a difference."""
        if rng.random() < 0.36:
            return arithmetic(rng)
        fact = rng.choices(self.facts, self._weights)[0]
        hand, general = self.lines[fact.name]
        while True:
            line = rng.choice(general if general and rng.random() < 0.3 else hand)
            question = self.expand(line, rng)
            if fact.name not in NO_TOPIC and rng.random() < 0.3:
                question = self.by_topic(fact, rng) or question
            if plain(question) not in self.untrained:
                break
        noisy = vary(question, rng)
        if plain(noisy) in self.untrained:
            noisy = question
        return noisy, fact.answer, "scope" if fact.name == "scope" else "fact"


def held_pair(a, b):
    """Whether this pair of numbers, in either order, is kept out of training."""
    return digest(f"pair {min(a, b)} {max(a, b)}") % 20 == 0


def arithmetic(rng):
    while True:
        top = rng.choices((9, 20, LARGEST), (20, 10, 70))[0]
        a, b = rng.randint(0, top), rng.randint(0, top)
        if not held_pair(a, b):
            break
    plus = rng.random() < 0.42  # differences are harder: they borrow, and can be negative
    forms, more = (SUM, MORE_SUM) if plus else (DIFFERENCE, MORE_DIFFERENCE)
    question = rng.choice(forms if rng.random() < 0.65 else more).replace("{a}", str(a)).replace("{b}", str(b))
    return finish(question, rng), result(a, b, plus), "sum" if plus else "difference"


def result(a, b, plus):
    return f"{a} + {b} = {a + b}" if plus else f"{a} - {b} = {a - b}"


def finish(question, rng):
    """Capital letter and question mark, or neither."""
    style = rng.random()
    if style < 0.45:
        return question
    if style < 0.85:
        return sentence(question)
    return question + rng.choice(["?", ".", " ?", "!", "??"])


def sentence(question):
    question = re.sub(r"\bi\b", "I", question)
    if not question[:7].lower().startswith("hearth "):
        question = question[:1].upper() + question[1:]
    return question if question[-1:] in "?.!=" else question + "?"


def vary(question, rng):
    """One question as different people would type it."""
    words = question.split()
    if rng.random() < 0.3:
        words = [w for word in words for w in (rng.choice(SYNONYMS[word]).split() if word in SYNONYMS and rng.random() < 0.35 else [word])]
    if rng.random() < 0.12 and len(words) > 3:
        kept = [w for w in words if w not in DROPPABLE or rng.random() > 0.4]
        words = kept if len(kept) > 1 else words
    if rng.random() < 0.1 and len(words) > 1:
        words.insert(rng.randrange(len(words) + 1), rng.choice(NOISE))
    if rng.random() < 0.09:
        words = words + rng.choice(AFTER).split()
    if rng.random() < 0.09:
        words = rng.choice(BEFORE).split() + words
    if rng.random() < 0.14:
        spot = rng.randrange(len(words))
        words[spot] = typo(words[spot], rng)
    text = " ".join(words)
    if rng.random() < 0.05:
        text = text.lower()
    if rng.random() < 0.08:
        text = re.sub(r"\bhearth [a-z]+|\b[A-Z]+(?:_[A-Z]+)+\b", lambda m: "`" + m.group(0) + "`", text, count=1)
    return finish(text, rng)


def typo(word, rng):
    if len(word) < 4 or not word.isalpha():
        return word
    i = rng.randrange(1, len(word) - 1)
    kind = rng.randrange(4)
    if kind == 0:
        return word[:i] + word[i + 1] + word[i] + word[i + 2:]
    if kind == 1:
        return word[:i] + word[i + 1:]
    if kind == 2:
        return word[:i] + word[i] + word[i:]
    return word[:i] + rng.choice(KEYS) + word[i + 1:]


def held_out():
    """The fixed test set: every h: line, one general phrasing per fact, sums and differences of unseen pairs."""
    rows = []
    for question, answer, kind, fact in Source().held:
        asked = sentence(question) if digest("style" + question) % 2 else question
        rows.append({"question": asked, "answer": answer, "kind": kind, "fact": fact})
    pairs = [(a, b) for a in range(LARGEST + 1) for b in range(LARGEST + 1) if held_pair(a, b)]
    for plus, forms in ((True, SUM), (False, DIFFERENCE)):
        kind = "sum" if plus else "difference"
        for a, b in sorted(pairs, key=lambda p: digest(f"{kind} {p}"))[:120]:
            form = forms[digest(f"form {kind} {a} {b}") % len(forms)]
            question = form.replace("{a}", str(a)).replace("{b}", str(b))
            rows.append({"question": question, "answer": result(a, b, plus), "kind": kind, "fact": kind})
    return rows


def write(path, rows):
    with open(path, "w", encoding="utf-8") as f:
        f.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sample", type=int, default=0)
    parser.add_argument("--watch")
    args = parser.parse_args()
    if args.watch:
        write(args.watch, [{"question": v, "answer": f.answer, "kind": "scope" if f.name == "scope" else "fact", "fact": f.name}
                           for f in Source().facts for v in f.watched])
        return
    if args.sample:
        source, rng = Source(), random.Random(7)
        for _ in range(args.sample):
            print(json.dumps(source.pair(rng)[:2]))
        return
    rows = held_out()
    write(os.path.join(HERE, "heldout.jsonl"), rows)
    print(f"{len(rows)} held-out questions about {len(Source().facts)} facts")


if __name__ == "__main__":
    main()
