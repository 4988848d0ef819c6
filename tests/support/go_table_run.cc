#include "tests/support/go_table_run.h"

#include <fstream>
#include <sstream>

#include "tests/support/go_program.h"

namespace heapwalk::test {

GoTableRun::GoTableRun(const std::string& program) {
  const std::string binary = go_program(program);
  if (binary.empty()) {
    skip_reason_ = program + " was not built: no go in PATH";
    return;
  }
  run_ = std::make_unique<ProgramRun>(
      RunOptions{.arguments = {binary, "table"}, .environment = {{"GOTRACEBACK", "crash"}}});
  skip_reason_ = run_->skip_reason();
  error_ = run_->error();
  if (run_->core_path().empty()) return;
  auto dump = open_core_dump(run_->core_path(), {.binary = binary});
  if (dump) {
    dump_ = *std::move(dump);
  } else {
    error_ = dump.error().message;
  }
}

std::vector<std::vector<std::string>> GoTableRun::table() const {
  std::vector<std::vector<std::string>> lines;
  std::ifstream file(run_->directory() + "/table");
  for (std::string line; std::getline(file, line);) {
    std::vector<std::string>& columns = lines.emplace_back();
    std::istringstream text(line);
    for (std::string column; std::getline(text, column, '\t');) columns.push_back(column);
  }
  return lines;
}

}  // namespace heapwalk::test
