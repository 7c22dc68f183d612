#pragma once

#include "server/dialects/dialect.h"

// What the server offers beyond the APIs that it speaks.
namespace hearth::extras {

// {model, content, add_special} → {"tokens": […]}.
Call parse_tokenize(const Json& body, const Stamp& stamp);
// {model, tokens} → {"content": …}.
Call parse_detokenize(const Json& body, const Stamp& stamp);
// {model, messages, tools, think} → {"prompt": …}.
Call parse_apply_template(const Json& body, const Stamp& stamp);
// Makes of a call one that counts the tokens of its prompt: {"object": …, "input_tokens": n}.
Call counting(Call call, std::string object);

}  // namespace hearth::extras
