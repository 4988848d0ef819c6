// `show` for scripts.
#include "report/documents.h"
#include "report/json_parts.h"
#include "report/process_facts.h"

namespace heapwalk {
namespace {

void write_neighbour(const Neighbour& row, JsonWriter& json) {
  json.member("address", format_address(row.address));
  json.member("name", row.name);
  json.member("kind", row.kind.empty() ? std::string("object") : row.kind);
  json.member("field", row.field);
  json.member("edge", edge_name(row.edge));
  json.member("size", row.size_bytes);
  json.member("retained_bytes", row.retained_bytes);
}

void write_object(const ShowAnswer& answer, JsonWriter& json) {
  json.key("object");
  json.begin_object();
  json.member("address", format_address(answer.object.address));
  json.member("size", answer.object.size_bytes);
  json.member("state", to_string(answer.object.state));
  json.member("allocator", answer.allocator);
  json.member("type", answer.type);
  json.member("evidence", to_string(answer.evidence));
  json.member("reachable", answer.stage <= Stage::tainted);
  json.member("retained_bytes", answer.retained_bytes);
  json.member("retained_objects", answer.retained_objects);
  json.end_object();
}

}  // namespace

void write_json_show(const DocumentRequest& request, Output& output) {
  const ShowAnswer& answer = *request.show;
  JsonWriter json(output);
  begin_document(json);
  write_object(answer, json);
  json.rows("fields", answer.fields, [&](const FieldValue& field) {
    json.member("depth", uint64_t{field.depth});
    json.member("name", field.name);
    json.member("type", field.type);
    json.member("offset", field.offset_bytes);
    json.member("value", field.value);
  });
  std::string hex;
  for (uint8_t byte : answer.bytes) hex += fmt::format("{:02x}", byte);
  json.member("bytes", hex);
  json.member("referrer_count", answer.referrer_count);
  json.rows("referrers", answer.referrers, [&](const Neighbour& row) { write_neighbour(row, json); });
  json.member("reference_count", answer.reference_count);
  json.rows("references", answer.references, [&](const Neighbour& row) { write_neighbour(row, json); });
  json.key("dominator");
  if (answer.dominator) {
    json.begin_object();
    write_neighbour(*answer.dominator, json);
    json.end_object();
  } else {
    json.value_null();
  }
  end_document(json);
}

}  // namespace heapwalk
