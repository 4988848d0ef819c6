// The report for scripts, by the schema of the command line's contract ("heapwalk/1": keys are only ever added).
#include "report/documents.h"
#include "report/json_parts.h"
#include "report/process_facts.h"

namespace heapwalk {
namespace {

void write_totals(const Totals& totals, JsonWriter& json) {
  json.key("totals");
  json.begin_object();
  json.member("used_bytes", totals.used_bytes);
  json.member("used_objects", totals.used_objects);
  json.member("reachable_bytes", totals.reachable_bytes);
  json.member("reachable_objects", totals.reachable_objects);
  json.member("shared_bytes", totals.shared_bytes);
  json.member("shared_objects", totals.shared_objects);
  json.member("conservative_bytes", totals.conservative_bytes);
  json.member("conservative_objects", totals.conservative_objects);
  json.member("possibly_live_bytes", totals.possibly_live_bytes);
  json.member("possibly_live_objects", totals.possibly_live_objects);
  json.member("leaked_bytes", totals.leaked_bytes);
  json.member("leaked_objects", totals.leaked_objects);
  json.member("garbage_bytes", totals.garbage_bytes);
  json.member("garbage_objects", totals.garbage_objects);
  json.member("free_bytes", totals.free_bytes);
  json.member("cached_bytes", totals.cached_bytes);
  json.member("cached_objects", totals.cached_objects);
  json.member("metadata_bytes", totals.metadata_bytes);
  json.member("unexplained_bytes", totals.unexplained_bytes);
  json.end_object();
}

void write_accounting(const Summary& summary, JsonWriter& json) {
  json.rows("memory", summary.memory, [&](const MemoryRow& row) {
    json.member("kind", row.kind);
    json.member("name", row.name);
    json.member("bytes", row.bytes);
    json.member("resident_in_core_bytes", row.resident_in_core_bytes);
  });
  json.rows("allocators", summary.allocators, [&](const AllocatorRow& row) {
    json.member("name", row.name);
    json.member("version", row.version);
    json.member("evidence", row.evidence);
    json.member("owned_bytes", row.owned_bytes);
    json.member("used_bytes", row.used_bytes);
    json.member("used_objects", row.used_objects);
    json.member("free_bytes", row.free_bytes);
    json.member("cached_bytes", row.cached_bytes);
    json.member("cached_objects", row.cached_objects);
    json.member("metadata_bytes", row.metadata_bytes);
    json.member("unexplained_bytes", row.unexplained_bytes);
  });
}

void write_suspects(std::span<const SuspectRow> suspects, JsonWriter& json) {
  json.rows("suspects", suspects, [&](const SuspectRow& row) {
    json.member("text", row.text);
    json.member("kind", row.kind);
    json.member("name", row.name);
    json.member("type", row.type);
    json.member("retained_bytes", row.retained_bytes);
    json.member("retained_objects", row.retained_objects);
    write_steps("path", row.path, json);
  });
}

}  // namespace

void write_json_report(const DocumentRequest& request, Output& output) {
  const Analysis& analysis = request.analysis;
  const Summary& summary = analysis.summary;
  uint64_t limit = request.limit.value_or(0);
  JsonWriter json(output);
  begin_document(json);
  write_core(*analysis.dump, json);
  write_totals(summary.totals, json);
  write_accounting(summary, json);
  write_suspects(first_rows(summary.suspects, limit), json);
  write_roots(first_rows(summary.roots, limit), json);
  write_owners(first_rows(summary.owners, limit), json);
  write_types(first_rows(summary.types, limit), json);
  write_leaks(first_rows(summary.leaks, limit), json);
  json.rows("stuck", first_rows(summary.stuck, limit), [&](const StuckRow& row) {
    json.member("name", row.name);
    json.member("state", row.state);
    json.member("count", row.count);
    json.member("retained_bytes", row.retained_bytes);
  });
  json.rows("sites", first_rows(summary.sites, limit), [&](const SiteRow& row) {
    json.member("site", row.site());
    json.member("function", row.function);
    json.member("file", row.file);
    json.member("line", row.line);
    json.member("holder", row.holder);
    json.member("estimated_bytes", row.estimated_bytes);
    json.member("estimated_objects", row.estimated_objects);
    json.member("samples", row.samples);
  });
  write_evidence(summary.evidence, json);
  write_containers(first_rows(summary.containers, limit), json);
  json.key("graph");
  json.begin_object();
  json.member("nodes", summary.graph_nodes);
  json.member("edges", summary.graph_edges);
  json.end_object();
  write_diagnostics(analysis.diagnostics, json);
  json.rows("stages", analysis.stages, [&](const StageRow& row) {
    json.member("name", row.name);
    json.key("seconds");
    json.value_seconds(row.seconds);
    json.member("peak_rss_bytes", row.peak_rss_bytes);
  });
  end_document(json);
}

}  // namespace heapwalk
