#include "tests/support/go_source_run.h"

#include <fstream>
#include <sstream>

namespace heapwalk::test {

GoSourceRun::GoSourceRun(std::string_view name, const std::vector<std::string>& flags) {
  if (const CommandResult version = run_command({"go", "version"}); version.status != 0) {
    skip_reason_ = "no Go on this machine: " + version.output;
    return;
  }
  binary_ = directory_.file(name);
  const std::string build_script = std::string(HEAPWALK_SOURCE_DIR) + "/testdata/programs/go/build";
  std::vector<std::string> command = {build_script, std::string(name), binary_};
  command.insert(command.end(), flags.begin(), flags.end());
  if (const CommandResult build = run_command(command); build.status != 0) {
    error_ = build.output;
    return;
  }
  run_ = std::make_unique<ProgramRun>(
      RunOptions{.arguments = {binary_, directory_.file("truth")}, .environment = {{"GOTRACEBACK", "crash"}}});
  skip_reason_ = run_->skip_reason();
  error_ = run_->error();
  if (run_->core_path().empty()) return;
  auto dump = open_core_dump(run_->core_path(), {.binary = binary_});
  if (!dump) {
    error_ = dump.error().message;
    return;
  }
  dump_ = std::make_unique<const CoreDump>(*std::move(dump));
}

std::vector<std::vector<std::string>> GoSourceRun::truth() const {
  std::vector<std::vector<std::string>> lines;
  std::ifstream file(directory_.file("truth"));
  for (std::string line; std::getline(file, line);) {
    std::vector<std::string>& columns = lines.emplace_back();
    std::istringstream text(line);
    for (std::string column; std::getline(text, column, '\t');) columns.push_back(column);
  }
  return lines;
}

}  // namespace heapwalk::test
