#pragma once

#include <span>
#include <string>

#include "text/template/gotemplate/output.h"

namespace hearth::gotmpl {

// A float as Go's strconv writes it: verb e, f or g (and E, G); precision -1 is the shortest that reads back.
// e+06, e-07: exponents have at least two digits.
std::string float_text(double value, char verb, int precision);

// As the value prints inside of other text; nil is <nil>. Scalars and punctuation get `origin`, texts have
// their own, containers that of who made them.
void print(const Value& value, Output& out, Origin origin = Origin::model);

// As an action prints it: nil is <no value>.
void print_action(const Value& value, Output& out);

// Go's fmt.Sprint: a space between two operands when neither is a text. Sprintln: always, and a line end.
void print_operands(std::span<const Value> operands, Output& out);
void print_line(std::span<const Value> operands, Output& out);

// Compact JSON as Go writes it: < > & and U+2028/9 escaped, floats shortest, members in the order of the map.
// Fails on infinities.
void print_json(const Value& value, Output& out, Origin origin = Origin::model);

// Go's fmt.Sprintf. Never fails: what does not fit prints as %!d(string=x), %!s(MISSING), ...
void print_formatted(const Text& format, std::span<const Value> arguments, Output& out);

}  // namespace hearth::gotmpl
