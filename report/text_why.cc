// `why` for people: the object or the type, then each path from its root down, a step per line.
#include "heapwalk/bytes_text.h"
#include "heapwalk/readable_names.h"
#include "report/documents.h"
#include "report/escape.h"
#include "report/process_facts.h"
#include "report/text_paths.h"
#include "report/text_table.h"

namespace heapwalk {
namespace {

void print_object(const WhyAnswer& answer, Output& output, const TextStyle& style) {
  output.print("{}: {}, {}", style.heading(format_address(answer.object.address)),
               answer.type.empty() ? "block" : printable(readable_type_name(answer.type)),
               bytes_text(answer.object.size_bytes));
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

// `what` follows the root: how many objects the path stands for.
void print_path(size_t number, const RootPath& path, std::string_view what, Output& output) {
  std::string place =
      path.root_owner.empty() || path.names_owner ? path.root_kind : path.root_kind + ", " + path.root_owner;
  std::string source = path.root_source.empty() ? "" : ", declared at " + path.root_source;
  output.print("\n");
  print_wrapped(output, fmt::format("{}. {} ({}){}{}", number, path.root_name, place, source, what), 2, 5);
  if (!path.steps.empty()) print_steps(std::span(path.steps).subspan(1), output);
}

}  // namespace

void write_text_why(const DocumentRequest& request, Output& output) {
  const WhyAnswer& answer = *request.why;
  TextStyle style(request.color);
  print_object(answer, output, style);
  if (answer.object.state != AllocationState::used) return;
  if (answer.leak) {
    output.write(answer.is_garbage
                     ? "\nNo root reaches it: it is garbage not collected yet. The way to it from its top:\n"
                     : "\nNo root reaches it: it is leaked. The way to it from the top of the leak:\n");
    print_steps(answer.leak->steps, output);
    return;
  }
  if (answer.paths.empty()) {
    output.write("\nNo path is left without what --avoid names.\n");
    return;
  }
  for (size_t i = 0; i < answer.paths.size(); ++i) print_path(i + 1, answer.paths[i], "", output);
}

void write_text_why_type(const DocumentRequest& request, Output& output) {
  const WhyTypeAnswer& answer = *request.why_type;
  TextStyle style(request.color);
  if (answer.targets == 0) {
    output.print("{}: no object in use is of this type. `heapwalk types` lists those there are.\n",
                 style.heading(printable(answer.type)));
    return;
  }
  output.print("{}: {} objects, {}; with them would go {}.\n", style.heading(printable(answer.type)),
               count_text(answer.targets), bytes_text(answer.bytes), bytes_text(answer.retained_bytes));
  if (answer.leaked_objects != 0) {
    output.print("No root reaches {} of them ({}): they are {}.\n", count_text(answer.leaked_objects),
                 bytes_text(answer.leaked_bytes),
                 answer.garbage_objects == answer.leaked_objects ? "garbage not collected yet" : "leaked");
  }
  if (answer.avoided_objects != 0) {
    output.print("{} of them ({}) are reached only through what --avoid names.\n", count_text(answer.avoided_objects),
                 bytes_text(answer.avoided_bytes));
  }
  for (size_t i = 0; i < answer.paths.size(); ++i) {
    const RootPath& path = answer.paths[i].path;
    print_path(i + 1, path,
               fmt::format(" leads to {} of them: {}, retaining {}; for example", count_text(path.count),
                           bytes_text(answer.paths[i].bytes), bytes_text(path.retained_bytes)),
               output);
  }
  if (answer.path_count > answer.paths.size()) {
    output.print("\n  … and {} more: --paths N shows more\n", count_text(answer.path_count - answer.paths.size()));
  }
}

}  // namespace heapwalk
