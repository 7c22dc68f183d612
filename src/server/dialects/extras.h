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
// {model, query, documents, top_n, return_documents} → {"results": [{index, relevance_score}]}, best first.
// Documents are texts or objects with a "text".
Call parse_rerank(const Json& body, const Stamp& stamp);
// {model, input_prefix, input_suffix, input_extra: [{filename, text}], prompt, n_predict, stream} and options
// as they are called elsewhere → {"content": …}: code between two texts, as editors ask for it.
Call parse_infill(const Json& body, const Stamp& stamp);
// Makes of a call one that counts the tokens of its prompt: {"object": …, "input_tokens": n}.
Call counting(Call call, std::string object);

}  // namespace hearth::extras
