// `why` for people: the object, then each path from its root down, a step per line.
#include "heapwalk/bytes_text.h"
#include "report/documents.h"
#include "report/escape.h"
#include "report/process_facts.h"
#include "report/text_paths.h"
#include "report/text_table.h"

namespace heapwalk {
namespace {

void print_object(const WhyAnswer& answer, Output& output, const TextStyle& style) {
  output.print("{}: {}, {}", style.heading(format_address(answer.object.address)),
               answer.type.empty() ? "block" : printable(answer.type), bytes_text(answer.object.size_bytes));
  if (answer.object.state != AllocationState::used) {
    output.print(". It is not in use: its state is {}, so nothing holds it.\n", to_string(answer.object.state));
    return;
  }
  output.print("; with it would go {} in {} allocations.\n", bytes_text(answer.retained_bytes),
               count_text(answer.retained_objects));
}

void print_steps(std::span<const PathStep> steps, Output& output) {
  for (const PathStep& step : steps) {
    std::string edge = step.edge == EdgeKind::conservative ? "" : fmt::format(" ({})", edge_name(step.edge));
    print_wrapped(output,
                  fmt::format("→ {} at {}, retains {}{}", step_text(step), format_address(step.address),
                              bytes_text(step.retained_bytes), edge),
                  5, 9);
  }
}

void print_path(size_t number, const RootPath& path, Output& output) {
  std::string place = path.root_owner.empty() ? path.root_kind : path.root_kind + ", " + path.root_owner;
  std::string source = path.root_source.empty() ? "" : ", declared at " + path.root_source;
  output.print("\n");
  print_wrapped(output, fmt::format("{}. {} ({}){}", number, path.root_name, place, source), 2, 5);
  if (!path.steps.empty()) print_steps(std::span(path.steps).subspan(1), output);
}

}  // namespace

void write_text_why(const DocumentRequest& request, Output& output) {
  const WhyAnswer& answer = *request.why;
  TextStyle style(request.color);
  print_object(answer, output, style);
  if (answer.object.state != AllocationState::used) return;
  if (answer.leak) {
    output.write("\nNo root reaches it: it is leaked. The way to it from the top of the leak:\n");
    print_steps(answer.leak->steps, output);
    return;
  }
  if (answer.paths.empty()) {
    output.write("\nNo path is left without what --avoid names.\n");
    return;
  }
  for (size_t i = 0; i < answer.paths.size(); ++i) print_path(i + 1, answer.paths[i], output);
}

}  // namespace heapwalk
