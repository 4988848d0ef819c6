#include "report/own_statistics.h"

#include <algorithm>
#include <span>

#include "heapwalk/bytes_text.h"
#include "report/json_parts.h"
#include "report/json_writer.h"
#include "report/process_facts.h"
#include "report/text_paths.h"
#include "report/text_table.h"

namespace heapwalk {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;
constexpr size_t kShownPauses = 5;

std::string duration_text(uint64_t ns) {
  if (ns < 1'000) return fmt::format("{} ns", ns);
  if (ns < 1'000'000) return fmt::format("{:.1f} µs", static_cast<double>(ns) / 1e3);
  if (ns < kSecond) return fmt::format("{:.2f} ms", static_cast<double>(ns) / 1e6);
  return fmt::format("{:.2f} s", static_cast<double>(ns) / 1e9);
}

std::string time_text(uint64_t unix_ns) {
  return unix_ns == 0 ? "never" : format_utc_time(static_cast<int64_t>(unix_ns / kSecond));
}

std::string value_text(const Statistic& row) {
  if (row.is_off) return "off";
  switch (row.unit) {
    case StatisticUnit::bytes:
      return row.value < 1024 ? bytes_text(row.value) : fmt::format("{} ({})", bytes_text(row.value), row.value);
    case StatisticUnit::count:
      return count_text(row.value);
    case StatisticUnit::nanoseconds:
      return duration_text(row.value);
    case StatisticUnit::unix_nanoseconds:
      return time_text(row.value);
    case StatisticUnit::percent:
      return fmt::format("{} %", row.value);
    case StatisticUnit::fraction:
      break;
  }
  return fmt::format("{:.3f} %", row.fraction * 100);
}

// The sentences that answer "where is the memory that the kernel says I have?".
std::string balance_text(const MemoryBalance& balance) {
  std::string text = fmt::format(
      "Live: {} in objects, of which the last collection found {} reachable; they lie in {} of spans. Idle: {} that "
      "the "
      "run-time keeps for later. Given back to the system: {}. Goroutine stacks: {}. The run-time's own: {}.",
      bytes_text(balance.object_bytes), bytes_text(balance.marked_bytes), bytes_text(balance.span_bytes),
      bytes_text(balance.idle_bytes), bytes_text(balance.released_bytes), bytes_text(balance.stack_bytes),
      bytes_text(balance.other_bytes));
  return text + fmt::format(" The kernel: of {} mapped for heap and stacks, {} {}; by the run-time's count {}.",
                            bytes_text(balance.mapped_bytes), bytes_text(balance.resident_bytes),
                            balance.is_resident_exact ? "were resident" : "hold anything but zeros in this core",
                            bytes_text(balance.span_bytes + balance.idle_bytes + balance.stack_bytes));
}

void write_balance(const MemoryBalance& balance, JsonWriter& json) {
  json.key("balance");
  json.begin_object();
  json.member("object_bytes", balance.object_bytes);
  json.member("marked_bytes", balance.marked_bytes);
  json.member("span_bytes", balance.span_bytes);
  json.member("idle_bytes", balance.idle_bytes);
  json.member("released_bytes", balance.released_bytes);
  json.member("stack_bytes", balance.stack_bytes);
  json.member("other_bytes", balance.other_bytes);
  json.member("mapped_bytes", balance.mapped_bytes);
  json.member("resident_bytes", balance.resident_bytes);
  json.member("is_resident_exact", balance.is_resident_exact);
  json.end_object();
}

}  // namespace

void write_text_statistics(const OwnStatistics& statistics, const Diagnostics& diagnostics, bool color,
                           Output& output) {
  const TextStyle style(color);
  print_wrapped(output, balance_text(statistics.balance), 0, 0);
  output.print("\n{}\n", style.heading(fmt::format("Memory statistics of {}", statistics.runtime)));
  TextTable table({{"name"}, {"value", Align::right}, {""}});
  for (const Statistic& row : statistics.rows)
    table.add({std::string(row.name), value_text(row), std::string(row.meaning)});
  table.print(output, style);
  if (!statistics.pauses.empty()) {
    output.print("\n{}\n", style.heading("Last pauses"));
    TextTable pauses({{"end"}, {"pause", Align::right}});
    for (const auto& pause : std::span(statistics.pauses).first(std::min(kShownPauses, statistics.pauses.size())))
      pauses.add({time_text(pause.end_unix_ns), duration_text(pause.duration_ns)});
    pauses.print(output, style);
  }
  if (!diagnostics.all().empty()) print_diagnostics(diagnostics, 0, output, style);
}

void write_json_statistics(const OwnStatistics& statistics, const Diagnostics& diagnostics, Output& output) {
  JsonWriter json(output);
  json.begin_object();
  json.member("schema", "heapwalk/1");
  json.member("runtime", statistics.runtime);
  write_balance(statistics.balance, json);
  json.key("memstats");
  json.begin_object();
  for (const Statistic& row : statistics.rows) {
    json.key(row.name);
    if (row.is_off)
      json.value_null();
    else if (row.unit == StatisticUnit::fraction)
      json.value_real(row.fraction);
    else
      json.value(row.value);
  }
  json.end_object();
  json.rows("pauses", statistics.pauses, [&](const OwnStatistics::Pause& pause) {
    json.member("end_unix_ns", pause.end_unix_ns);
    json.member("duration_ns", pause.duration_ns);
  });
  json.rows("size_classes", statistics.size_classes, [&](const OwnStatistics::SizeClass& one) {
    json.member("size_bytes", one.size_bytes);
    json.member("allocations", one.allocations);
    json.member("frees", one.frees);
  });
  write_diagnostics(diagnostics, json);
  json.end_object();
  json.finish();
}

}  // namespace heapwalk
