#include "tests/support/recorded_core.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include <fmt/format.h>

namespace heapwalk::test {
namespace {

constexpr char kFolder[] = HEAPWALK_SOURCE_DIR "/testdata/cores";

}  // namespace

std::vector<int> recorded_go_minors() {
  std::vector<int> minors;
  for (const auto& entry : std::filesystem::directory_iterator(kFolder)) {
    int minor = 0;
    if (sscanf(entry.path().filename().c_str(), "go1.%d.tar.xz", &minor) == 1) minors.push_back(minor);
  }
  std::ranges::sort(minors);
  return minors;
}

RecordedCore::RecordedCore(int minor) {
  std::string archive = fmt::format("{}/go1.{}.tar.xz", kFolder, minor);
  CommandResult unpacked = run_command({"tar", "-C", directory_.path().string(), "-xJf", archive});
  if (unpacked.status != 0) {
    error_ = fmt::format("{}: {}", archive, unpacked.output);
    return;
  }
  auto truth = read_go_truth(directory_.path().string());
  if (truth)
    truth_ = std::move(*truth);
  else
    error_ = truth.error().message;
}

}  // namespace heapwalk::test
