#include "text/template/gotemplate/variables.h"

#include <algorithm>
#include <array>

namespace hearth::gotmpl {
namespace {

constexpr Origin user = Origin::user;

constexpr std::array<Field, 7> message_fields{{
    {"Role", "role"},
    {"Content", "content"},
    {"Thinking", "thinking", true},
    {"Images", "images", true},
    {"ToolCalls", "tool_calls", true},
    {"ToolName", "tool_name", true},
    {"ToolCallID", "tool_call_id", true},
}};
constexpr std::array<Field, 2> call_fields{{{"ID", "id", true}, {"Function", "function"}}};
constexpr std::array<Field, 3> called_fields{
    {{"Index", "index"}, {"Name", "name"}, {"Arguments", "arguments"}}};
constexpr std::array<Field, 3> tool_fields{
    {{"Type", "type"}, {"Items", "items", true}, {"Function", "function"}}};
constexpr std::array<Field, 3> function_fields{
    {{"Name", "name"}, {"Description", "description"}, {"Parameters", "parameters"}}};
constexpr std::array<Field, 5> parameters_fields{{
    {"Type", "type"},
    {"Defs", "$defs", true},
    {"Items", "items", true},
    {"Required", "required", true},
    {"Properties", "properties"},
}};
constexpr std::array<Field, 7> property_fields{{
    {"AnyOf", "anyOf", true},
    {"Type", "type", true},
    {"Items", "items", true},
    {"Description", "description", true},
    {"Enum", "enum", true},
    {"Properties", "properties", true},
    {"Required", "required", true},
}};

constexpr RecordType message_type{"Message", message_fields};
constexpr RecordType call_type{"ToolCall", call_fields};
constexpr RecordType called_type{"ToolCallFunction", called_fields};
constexpr RecordType tool_type{"Tool", tool_fields};
constexpr RecordType function_type{"ToolFunction", function_fields};
constexpr RecordType parameters_type{"ToolParameters", parameters_fields};
constexpr RecordType property_type{"ToolProperty", property_fields};

const Json& member(const Json& of, std::string_view name) {
  static const Json none;
  const json::object* object = of.if_object();
  const Json* found = object ? object->if_contains(name) : nullptr;
  return found ? *found : none;
}

Value text_of_member(const Maker& maker, const Json& of, std::string_view name) {
  return maker.text(text_member(of, name), user);
}

Value any_member(const Maker& maker, const Json& of, std::string_view name) {
  return maker.import(member(of, name), Maker::Numbers::float64, Style::plain, user);
}

// A list of the array's elements, empty where there is none.
template <class Make>
Value list_of(const Maker& maker, const Json& array, Style style, Make make) {
  std::vector<Value> items;
  if (const json::array* elements = array.if_array()) {
    items.reserve(elements->size());
    for (const Json& each : *elements) items.push_back(make(each));
  }
  return maker.list(std::move(items), style, user);
}

Value plain_list(const Maker& maker, const Json& of, std::string_view name) {
  return list_of(maker, member(of, name), Style::plain, [&](const Json& each) {
    return maker.import(each, Maker::Numbers::float64, Style::plain, user);
  });
}

// ---- messages ----

// Arguments come as an object, or as text that holds one.
Value arguments_of(const Maker& maker, const Json& arguments) {
  Json parsed = arguments;
  if (const json::string* text = arguments.if_string()) {
    boost::system::error_code error;
    parsed = json::parse(*text, error);
    if (error) parsed = nullptr;
  }
  if (!parsed.is_object()) parsed = json::object();
  return maker.import(parsed, Maker::Numbers::float64, Style::json, user);
}

Value call_value(const Maker& maker, const Json& call, size_t place) {
  const Json& called = member(call, "function");
  const Json& index = member(called, "index");
  const int64_t number = index.is_int64() ? index.get_int64() : static_cast<int64_t>(place);
  return maker.record(
      call_type,
      {text_of_member(maker, call, "id"), maker.record(called_type,
                                                       {number, text_of_member(maker, called, "name"),
                                                        arguments_of(maker, member(called, "arguments"))},
                                                       user)},
      user);
}

Value message_value(const Maker& maker, const Json& message) {
  size_t place = 0;
  return maker.record(
      message_type,
      {text_of_member(maker, message, "role"), text_of_member(maker, message, "content"),
       text_of_member(maker, message, "thinking"), plain_list(maker, message, "images"),
       list_of(maker, member(message, "tool_calls"), Style::json,
               [&](const Json& call) { return call_value(maker, call, place++); }),
       text_of_member(maker, message, "tool_name"), text_of_member(maker, message, "tool_call_id")},
      user);
}

// ---- tools ----

Value property_value(const Maker& maker, const Json& property);

enum class Order : uint8_t { sorted, given };

Value properties_value(const Maker& maker, const Json& properties, Order order) {
  std::vector<Map::Entry> entries;
  if (const json::object* object = properties.if_object()) {
    entries.reserve(object->size());
    for (const auto& each : *object) {
      entries.push_back({TextRef(new Text(Marked(std::string(each.key()), user), maker.meter())),
                         property_value(maker, each.value())});
    }
  }
  if (order == Order::sorted) {
    std::sort(entries.begin(), entries.end(),
              [](const Map::Entry& a, const Map::Entry& b) { return a.key->view() < b.key->view(); });
  }
  return maker.map(std::move(entries), Style::json, user);
}

Value property_value(const Maker& maker, const Json& property) {
  const Meter::Level level(*maker.meter());
  const Json& type = member(property, "type");
  std::vector<Value> types;
  if (type.is_string()) types.push_back(text_of_member(maker, property, "type"));
  if (const json::array* several = type.if_array()) {
    for (const Json& each : *several) {
      if (each.is_string()) types.push_back(maker.text(std::string_view(each.get_string()), user));
    }
  }
  return maker.record(property_type,
                      {list_of(maker, member(property, "anyOf"), Style::json,
                               [&](const Json& each) { return property_value(maker, each); }),
                       maker.list(std::move(types), Style::lone, user), any_member(maker, property, "items"),
                       text_of_member(maker, property, "description"), plain_list(maker, property, "enum"),
                       properties_value(maker, member(property, "properties"), Order::given),
                       plain_list(maker, property, "required")},
                      user);
}

Value tool_value(const Maker& maker, const Json& tool) {
  const Json& function = member(tool, "function");
  const Json& parameters = member(function, "parameters");
  Value parameters_value =
      maker.record(parameters_type,
                   {text_of_member(maker, parameters, "type"), any_member(maker, parameters, "$defs"),
                    any_member(maker, parameters, "items"), plain_list(maker, parameters, "required"),
                    properties_value(maker, member(parameters, "properties"), Order::sorted)},
                   user);
  return maker.record(
      tool_type,
      {text_of_member(maker, tool, "type"), any_member(maker, tool, "items"),
       maker.record(function_type,
                    {text_of_member(maker, function, "name"), text_of_member(maker, function, "description"),
                     std::move(parameters_value)},
                    user)},
      user);
}

// Behind the text of a member, with a blank line between. In place: a conversation may have many neighbours.
void append_text(json::object& into, std::string_view name, std::string_view more) {
  Json& text = into[name];
  if (!text.is_string()) text = "";
  text.get_string().append("\n\n");
  text.get_string().append(more);
}

// Adds a message to the one before it, of the same role: contents with a blank line between, and what else it
// has behind what is there.
void merge(const Json& message, json::object& into) {
  append_text(into, "content", text_member(message, "content"));
  if (const auto thinking = text_member(message, "thinking"); !thinking.empty()) {
    if (text_member(into, "thinking").empty()) {
      into["thinking"] = thinking;
    } else {
      append_text(into, "thinking", thinking);
    }
  }
  for (const char* name : {"images", "tool_calls"}) {
    const json::array* more = member(message, name).if_array();
    if (!more) continue;
    Json& list = into[name];
    if (!list.is_array()) list = json::array();
    list.get_array().insert(list.get_array().end(), more->begin(), more->end());
  }
}

}  // namespace

std::string_view text_member(const Json& message, std::string_view name) {
  return message.is_object() ? text_member(message.get_object(), name) : std::string_view();
}

std::string_view text_member(const json::object& message, std::string_view name) {
  const Json* found = message.if_contains(name);
  const json::string* text = found ? found->if_string() : nullptr;
  return text ? std::string_view(*text) : std::string_view();
}

std::vector<Json> collated(const Conversation& conversation) {
  std::vector<Json> out;
  const auto add = [&](const Json& message) {
    const std::string_view role = text_member(message, "role");
    if (out.empty() || role == "tool" || text_member(out.back(), "role") != role) {
      out.push_back(message);
    } else {
      merge(message, out.back().as_object());
    }
  };
  if (!conversation.system.empty()) add({{"role", "system"}, {"content", conversation.system}});
  for (const Json& message : conversation.messages) {
    if (message.is_object()) add(message);
  }
  return out;
}

std::string system_of(const std::vector<Json>& messages) {
  std::string system;
  bool first = true;
  for (const Json& message : messages) {
    if (text_member(message, "role") != "system") continue;
    if (!first) system += "\n\n";
    system += text_member(message, "content");
    first = false;
  }
  return system;
}

Value variables(const Maker& maker, const Conversation& conversation,
                std::vector<std::pair<std::string_view, Value>> others) {
  const bool level = !conversation.think_level.empty();
  others.emplace_back("Think", conversation.think.value_or(level));
  others.emplace_back("ThinkLevel", maker.text(conversation.think_level, user));
  others.emplace_back("IsThinkSet", conversation.think.has_value() || level);
  std::vector<Map::Entry> entries;
  entries.reserve(others.size());
  for (auto& [name, value] : others) {
    entries.push_back(
        {TextRef(new Text(Marked(std::string(name), Origin::model), maker.meter())), std::move(value)});
  }
  std::sort(entries.begin(), entries.end(),
            [](const Map::Entry& a, const Map::Entry& b) { return a.key->view() < b.key->view(); });
  return maker.map(std::move(entries), Style::plain, Origin::model);
}

Value messages_value(const Maker& maker, const std::vector<Json>& messages) {
  std::vector<Value> items;
  items.reserve(messages.size());
  for (const Json& message : messages) items.push_back(message_value(maker, message));
  return maker.list(std::move(items), Style::json, user);
}

Value tools_value(const Maker& maker, const Json& tools) {
  return list_of(maker, tools, Style::json, [&](const Json& tool) { return tool_value(maker, tool); });
}

}  // namespace hearth::gotmpl
