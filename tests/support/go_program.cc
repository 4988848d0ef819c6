#include "tests/support/go_program.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

namespace heapwalk::test {
namespace {

std::string read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

std::vector<PlantedObject> read_planted(const std::string& path) {
  std::vector<PlantedObject> planted;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    PlantedObject object;
    fields >> object.address.value >> object.size_bytes;
    fields.ignore(1);
    for (std::string* text : {&object.fate, &object.name, &object.holder}) std::getline(fields, *text, '\t');
    planted.push_back(std::move(object));
  }
  return planted;
}

Result<GoTruth> read_go_truth(const std::string& directory) {
  auto heap = read_go_heap_dump(directory + "/heap.dump");
  if (!heap) return std::unexpected(heap.error());
  GoTruth truth;
  truth.heap = std::move(*heap);
  truth.planted = read_planted(directory + "/planted.tsv");
  if (truth.planted.empty()) return fail("{}/planted.tsv: empty", directory);
  truth.stacks = read_text(directory + "/stacks.txt");
  truth.memstats = parse_json(read_text(directory + "/memstats.json"));
  std::error_code ignored;
  if (std::filesystem::file_size(directory + "/after.dump", ignored) + 1 > 1) {
    auto after = read_go_heap_dump(directory + "/after.dump");
    if (!after) return std::unexpected(after.error());
    truth.after = std::move(*after);
  }
  return truth;
}

std::string go_program(const std::string& name) {
  std::string path = std::string(HEAPWALK_PROGRAMS_DIR) + "/go/" + name;
  return std::filesystem::exists(path) ? path : "";
}

void GoRun::find_binary(const std::string& program, const GoRunOptions& options) {
  if (options.toolchain == "go" && options.flags.empty()) {
    binary_ = go_program(program);
    if (binary_.empty()) skip_reason_ = program + " was not built: no go in PATH";
    return;
  }
  binary_ = built_.file(program);
  std::vector<std::string> command = {"env", "-u", "GOROOT", "GO=" + options.toolchain};
  command.push_back(options.uses_c ? "CGO_ENABLED=1" : "CGO_ENABLED=0");
  command.insert(command.end(), {HEAPWALK_SOURCE_DIR "/testdata/programs/go/build", program, binary_});
  command.insert(command.end(), options.flags.begin(), options.flags.end());
  const CommandResult build = run_command(command);
  if (build.status != 0) error_ = "go build failed: " + build.output;
}

GoRun::GoRun(const std::string& program, std::vector<std::string> arguments, const GoRunOptions& options) {
  find_binary(program, options);
  if (!skip_reason_.empty() || !error_.empty()) return;
  RunOptions run;
  run.arguments = std::move(arguments);
  run.arguments.insert(run.arguments.begin(), binary_);
  run.environment = options.environment;
  run.use_gcore = options.use_gcore;
  if (options.use_gcore) run.continue_file = "continue";
  run.timeout_seconds = options.timeout_seconds;
  run_ = std::make_unique<ProgramRun>(run);
  skip_reason_ = run_->skip_reason();
  error_ = run_->error();
  if (!skip_reason_.empty() || !error_.empty()) return;
  if (!options.writes_heap_dump) {
    truth_.emplace().planted = read_planted(run_->directory() + "/planted.tsv");
    if (truth_->planted.empty()) error_ = "planted.tsv is empty";
    return;
  }
  auto truth = read_go_truth(run_->directory());
  if (truth)
    truth_ = std::move(*truth);
  else
    error_ = truth.error().message;
}

}  // namespace heapwalk::test
