"""The official Python clients of Ollama, OpenAI and Anthropic against a hearth server.

HEARTH_URL, HEARTH_RANDOM_MODEL and HEARTH_EMBEDDER say where and what, as for the other clients.
"""
import asyncio
import json
import math
import os
import unittest

import anthropic
import ollama
import openai
from pydantic import BaseModel, Field

URL = os.environ["HEARTH_URL"]
MODEL = "ember"
RANDOM = os.environ["HEARTH_RANDOM_MODEL"]  # random weights: what it says is a call only if it must be one
EMBEDDER = os.environ["HEARTH_EMBEDDER"]
LOADED = "How do I see which models are loaded?"


def user(content):
    return [{"role": "user", "content": content}]


class Answer(BaseModel):
    ok: bool
    note: str | None = Field(max_length=10)


def paint(color: str, times: int) -> str:
    """Paints.

    Args:
      color: which
      times: how often
    """
    return f"{color} {times}"


class Ollama(unittest.TestCase):
    client = ollama.Client(host=URL)

    def test_a_chat_is_answered_whole_and_streams_the_same(self):
        whole = self.client.chat(model=MODEL, messages=user(LOADED))
        self.assertIn("hearth ps", whole.message.content)
        self.assertTrue(whole.done and whole.eval_count > 0)
        parts = list(self.client.chat(model=MODEL, messages=user(LOADED), stream=True))
        self.assertEqual("".join(p.message.content for p in parts), whole.message.content)
        self.assertTrue(parts[-1].done)

    def test_generate_goes_on_from_its_context(self):
        first = self.client.generate(model=MODEL, prompt="Who are you?")
        second = self.client.generate(model=MODEL, prompt="What is 1 + 2?", context=first.context)
        self.assertGreater(second.prompt_eval_count, first.prompt_eval_count)

    def test_an_asynchronous_stream_is_left_early(self):
        async def first_parts():
            client, parts = ollama.AsyncClient(host=URL), []
            stream = await client.generate(
                model=RANDOM, prompt="x", raw=True, stream=True, options={"num_predict": 400, "seed": 1})
            async for part in stream:
                parts.append(part)
                if len(parts) == 3:
                    break
            await stream.aclose()
            return parts

        self.assertFalse(any(p.done for p in asyncio.run(first_parts())))

    def test_a_function_is_a_tool(self):
        # The client makes the schema from the function; a model without tools in its template refuses them.
        self.client.chat(model=RANDOM, messages=user("x"), tools=[paint], options={"num_predict": 3})
        with self.assertRaises(ollama.ResponseError) as caught:
            self.client.chat(model=MODEL, messages=user("x"), tools=[paint])
        self.assertEqual(caught.exception.status_code, 400)
        self.assertIn("does not support tools", caught.exception.error)

    def test_structured_output_is_what_the_schema_says(self):
        reply = self.client.chat(model=MODEL, messages=user("Is it so?"), format=Answer.model_json_schema(),
                                 options={"num_predict": 300, "temperature": 1})
        Answer.model_validate_json(reply.message.content)

    def test_vectors_have_length_one(self):
        vectors = self.client.embed(model=EMBEDDER, input=["one", "two"]).embeddings
        self.assertEqual(len(vectors), 2)
        self.assertAlmostEqual(math.hypot(*vectors[0]), 1, places=4)

    def test_models_are_listed_shown_made_copied_and_deleted(self):
        self.assertIn("ember:latest", [m.model for m in self.client.list().models])
        self.assertIn("completion", self.client.show(RANDOM).capabilities)
        self.client.copy(RANDOM, "copied-by-python")
        made = self.client.create(model="made-by-python", from_=RANDOM, system="Be brief.")
        self.assertEqual(made.status, "success")
        names = [m.model for m in self.client.list().models]
        for name in ("copied-by-python", "made-by-python"):
            self.assertIn(f"{name}:latest", names)
            self.client.delete(name)
        self.assertNotIn("made-by-python:latest", [m.model for m in self.client.list().models])

    def test_what_is_loaded_is_told(self):
        self.client.generate(model=MODEL, prompt="", keep_alive="10m")
        self.assertIn("ember:latest", [m.model for m in self.client.ps().models])

    def test_errors_carry_their_status(self):
        with self.assertRaises(ollama.ResponseError) as caught:
            self.client.chat(model="nosuch", messages=user("x"))
        self.assertEqual(caught.exception.status_code, 404)
        self.assertIn("model 'nosuch' not found", caught.exception.error)


class OpenAI(unittest.TestCase):
    client = openai.OpenAI(base_url=f"{URL}/v1", api_key="unused", max_retries=0)
    tools = [{"type": "function", "function": {"name": "paint", "parameters": {
        "type": "object", "required": ["color", "times"], "additionalProperties": False,
        "properties": {"color": {"enum": ["red", "blue"]}, "times": {"type": "integer", "minimum": 0, "maximum": 9}}}}}]

    def test_a_chat_is_answered_whole_and_streams(self):
        whole = self.client.chat.completions.create(model=MODEL, messages=user("What is 3 + 4?"), temperature=0)
        self.assertIn("7", whole.choices[0].message.content)
        stream = self.client.chat.completions.create(
            model=MODEL, messages=user(LOADED), temperature=0, stream=True, stream_options={"include_usage": True})
        text, usage = "", None
        for chunk in stream:
            text += (chunk.choices[0].delta.content or "") if chunk.choices else ""
            usage = chunk.usage or usage
        self.assertIn("hearth ps", text)
        self.assertGreater(usage.completion_tokens, 0)

    def test_an_answer_is_parsed_into_a_model_of_pydantic(self):
        reply = self.client.chat.completions.parse(model=MODEL, messages=user("Is it so?"), response_format=Answer,
                                                   max_tokens=300)
        self.assertIsInstance(reply.choices[0].message.parsed, Answer)

    def test_a_call_of_a_tool_can_be_demanded(self):
        reply = self.client.chat.completions.create(model=RANDOM, messages=user("x"), tools=self.tools,
                                                    tool_choice="required", parallel_tool_calls=False, seed=1)
        call = reply.choices[0].message.tool_calls[0].function
        arguments = json.loads(call.arguments)
        self.assertEqual(call.name, "paint")
        self.assertIn(arguments["color"], ("red", "blue"))

    def test_embeddings_and_models(self):
        reply = self.client.embeddings.create(model=EMBEDDER, input=["one", "two"])
        self.assertAlmostEqual(math.hypot(*reply.data[0].embedding), 1, places=4)
        self.assertIn("ember:latest", [m.id for m in self.client.models.list()])

    def test_responses_whole_and_as_a_stream(self):
        whole = self.client.responses.create(model=MODEL, input="What is 3 + 4?", temperature=0)
        self.assertIn("7", whole.output_text)
        with self.client.responses.stream(model=MODEL, input="What is 3 + 4?", temperature=0) as stream:
            for _ in stream:
                pass
            self.assertEqual(stream.get_final_response().output_text, whole.output_text)

    def test_many_at_once(self):
        async def ask_all():
            client = openai.AsyncOpenAI(base_url=f"{URL}/v1", api_key="unused", max_retries=0)
            asked = [client.chat.completions.create(model=MODEL, messages=user(f"What is {i} + 1?"), temperature=0)
                     for i in range(1, 7)]
            return [reply.choices[0].message.content for reply in await asyncio.gather(*asked)]

        for i, text in enumerate(asyncio.run(ask_all()), start=1):
            self.assertIn(str(i + 1), text)

    def test_errors_carry_their_type(self):
        with self.assertRaises(openai.NotFoundError):
            self.client.chat.completions.create(model="nosuch", messages=user("x"))
        with self.assertRaises(openai.BadRequestError):
            self.client.chat.completions.create(model=MODEL, messages=[])


class Anthropic(unittest.TestCase):
    client = anthropic.Anthropic(base_url=URL, api_key="unused", max_retries=0)

    def test_a_message_is_answered_whole_and_streams(self):
        whole = self.client.messages.create(model=MODEL, max_tokens=60, messages=user(LOADED))
        self.assertEqual(whole.stop_reason, "end_turn")
        with self.client.messages.stream(model=MODEL, max_tokens=60, messages=user(LOADED)) as stream:
            text = "".join(stream.text_stream)
        self.assertIn("hearth ps", text)
        self.assertIn("hearth ps", whole.content[0].text)

    def test_a_call_of_a_tool_can_be_demanded(self):
        tool = {"name": "paint", "input_schema": OpenAI.tools[0]["function"]["parameters"]}
        reply = self.client.messages.create(model=RANDOM, max_tokens=300, messages=user("x"), tools=[tool],
                                            tool_choice={"type": "tool", "name": "paint"})
        call = next(part for part in reply.content if part.type == "tool_use")
        self.assertIn(call.input["color"], ("red", "blue"))

    def test_tokens_are_counted(self):
        counted = self.client.messages.count_tokens(model=MODEL, messages=user("What is 3 + 4?"))
        reply = self.client.messages.create(model=MODEL, max_tokens=60, messages=user("What is 3 + 4?"))
        self.assertEqual(counted.input_tokens, reply.usage.input_tokens)

    def test_errors_carry_their_type(self):
        with self.assertRaises(anthropic.NotFoundError):
            self.client.messages.create(model="nosuch", max_tokens=5, messages=user("x"))


if __name__ == "__main__":
    unittest.main()
