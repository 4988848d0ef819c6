#include "report/json_parts.h"

#include "report/process_facts.h"

namespace heapwalk {

void begin_document(JsonWriter& json) {
  json.begin_object();
  json.member("schema", "heapwalk/1");
}

void end_document(JsonWriter& json) {
  json.end_object();
  json.finish();
}

void write_core(const CoreDump& dump, JsonWriter& json) {
  const Process& process = dump.process;
  json.key("core");
  json.begin_object();
  json.member("path", dump.path);
  json.member("pid", uint64_t{process.pid});
  json.member("command", process.command);
  json.member("signal", signal_name(process.signal));
  json.member("signal_number", static_cast<uint64_t>(process.signal < 0 ? 0 : process.signal));
  json.member("time", format_utc_time(process.time_seconds));
  json.member("arguments", process.arguments);
  json.member("file_bytes", dump.file_size_bytes);
  json.member("missing_bytes", dump.missing_bytes);
  json.end_object();
}

void write_roots(std::span<const RootRow> roots, JsonWriter& json) {
  json.rows("roots", roots, [&](const RootRow& row) {
    json.member("name", row.name);
    json.member("kind", row.kind);
    json.member("owner", row.owner);
    json.member("type", row.type);
    json.member("source", row.source);
    json.member("retained_bytes", row.retained_bytes);
    json.member("retained_objects", row.retained_objects);
  });
}

void write_owners(std::span<const OwnerRow> owners, JsonWriter& json) {
  json.rows("owners", owners, [&](const OwnerRow& row) {
    json.member("name", row.name);
    json.member("kind", row.kind);
    json.member("retained_bytes", row.retained_bytes);
    json.member("retained_objects", row.retained_objects);
  });
}

void write_leaks(std::span<const LeakRow> leaks, JsonWriter& json) {
  json.rows("leaks", leaks, [&](const LeakRow& row) {
    json.member("type", row.type);
    json.member("roots", row.roots);
    json.member("objects", row.objects);
    json.member("bytes", row.bytes);
    json.member("example", format_address(row.example));
    if (row.is_garbage) json.member("garbage", true);
  });
}

void write_steps(std::string_view name, std::span<const PathStep> steps, JsonWriter& json) {
  json.rows(name, steps, [&](const PathStep& step) {
    json.member("address", format_address(step.address));
    json.member("type", step.type);
    json.member("field", step.field);
    json.member("reference", step.reference == Address{} ? std::string() : format_address(step.reference));
    json.member("edge", edge_name(step.edge));
    json.member("repeat", step.repeat);
    json.member("retained_bytes", step.retained_bytes);
  });
}

// The first step of a path is its root, which has a key of its own.
void write_path(const RootPath& path, JsonWriter& json) {
  json.member("count", path.count);
  json.member("retained_bytes", path.retained_bytes);
  json.key("root");
  json.begin_object();
  json.member("name", path.root_name);
  json.member("kind", path.root_kind);
  json.member("owner", path.root_owner);
  json.member("source", path.root_source);
  json.end_object();
  const std::span<const PathStep> steps = path.steps;
  write_steps("steps", steps.empty() ? steps : steps.subspan(1), json);
}

void write_types(std::span<const TypeRow> types, JsonWriter& json) {
  json.rows("types", types, [&](const TypeRow& row) {
    json.member("name", row.name);
    json.member("count", row.count);
    json.member("bytes", row.bytes);
    json.member("retained_bytes", row.retained_bytes);
  });
}

void write_containers(std::span<const ContainerRow> containers, JsonWriter& json) {
  json.rows("containers", containers, [&](const ContainerRow& row) {
    json.member("type", row.type);
    json.member("holder", row.holder);
    json.member("count", row.count);
    json.member("elements", row.elements);
    json.member("unused_bytes", row.unused_bytes);
    json.member("empty_with_memory", row.empty_with_memory);
  });
}

void write_evidence(const EvidenceBytes& evidence, JsonWriter& json) {
  json.key("evidence");
  json.begin_object();
  json.member("runtime", evidence.runtime);
  json.member("container", evidence.container);
  json.member("pointer", evidence.pointer);
  json.member("field", evidence.field);
  json.member("none", evidence.none);
  json.end_object();
}

void write_diagnostics(const Diagnostics& diagnostics, JsonWriter& json) {
  json.rows("diagnostics", diagnostics.all(), [&](const Diagnostic& entry) {
    json.member("code", entry.code);
    json.member("count", entry.count);
    json.member("text", entry.text);
  });
}

}  // namespace heapwalk
