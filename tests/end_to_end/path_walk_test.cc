// The paths of `why`, walked in the core: each step says which word leads to it, and that word, read from the core file by
// this test itself, must point into the step's object and lie in the one before.
#include <gtest/gtest.h>

#include <elf.h>

#include <cstring>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>

#include "tests/support/heapwalk_command.h"
#include "tests/support/json.h"
#include "tests/support/run_program.h"

namespace heapwalk::test {
namespace {

constexpr size_t kPaths = 40;  // looked at per program, spread over its objects

// The segments of a core, read without any of heapwalk's code.
class PlainCore {
 public:
  explicit PlainCore(const std::string& path) : file_(path, std::ios::binary) {
    Elf64_Ehdr header{};
    file_.read(reinterpret_cast<char*>(&header), sizeof header);
    segments_.resize(header.e_phnum);
    file_.seekg(static_cast<std::streamoff>(header.e_phoff));
    file_.read(reinterpret_cast<char*>(segments_.data()),
               static_cast<std::streamsize>(segments_.size() * sizeof(Elf64_Phdr)));
  }
  std::optional<uint64_t> word(uint64_t address) {
    for (const Elf64_Phdr& segment : segments_) {
      if (segment.p_type != PT_LOAD || address < segment.p_vaddr || address - segment.p_vaddr + 8 > segment.p_filesz) {
        continue;
      }
      uint64_t value = 0;
      file_.seekg(static_cast<std::streamoff>(segment.p_offset + (address - segment.p_vaddr)));
      file_.read(reinterpret_cast<char*>(&value), sizeof value);
      return value;
    }
    return std::nullopt;
  }

 private:
  std::ifstream file_;
  std::vector<Elf64_Phdr> segments_;
};

uint64_t address_of(const Json& value) {
  return value.text().empty() ? 0 : std::stoull(value.text(), nullptr, 16);
}

// address → size of the used blocks that are reachable
std::map<uint64_t, uint64_t> read_objects(const std::string& core, const std::string& binary) {
  std::map<uint64_t, uint64_t> objects;
  CommandOutput output = run_heapwalk({"objects", core, binary, "--format", "tsv", "--reachable", "yes"});
  EXPECT_EQ(output.status, 0) << output.err;
  std::istringstream lines(output.out);
  std::string line;
  std::getline(lines, line);  // the header
  while (std::getline(lines, line)) {
    std::istringstream columns(line);
    std::string address;
    uint64_t size = 0;
    columns >> address >> size;
    objects[std::stoull(address, nullptr, 16)] = size;
  }
  return objects;
}

class PathWalk : public ::testing::TestWithParam<const char*> {};

TEST_P(PathWalk, EveryStepIsInTheCore) {
  const std::string binary = std::string(HEAPWALK_PROGRAMS_DIR) + "/" + GetParam();
  std::vector<std::string> arguments = {binary};
  if (std::string(GetParam()) == "bench_heap") arguments.push_back("20000");
  ProgramRun run({.arguments = arguments});
  if (!run.skip_reason().empty()) GTEST_SKIP() << run.skip_reason();
  ASSERT_EQ(run.error(), "");
  PlainCore core(run.core_path());
  const auto objects = read_objects(run.core_path(), binary);
  ASSERT_GT(objects.size(), kPaths);
  size_t steps_walked = 0;
  size_t number = 0;
  for (const auto& [address, size] : objects) {
    if (number++ % (objects.size() / kPaths) != 0) continue;
    char text[32];
    std::snprintf(text, sizeof text, "0x%lx", static_cast<unsigned long>(address));
    CommandOutput output = run_heapwalk({"why", run.core_path(), binary, "--address", text, "--format", "json"});
    ASSERT_EQ(output.status, 0) << output.err;
    const auto paths = parse_json(output.out)["paths"].items();
    ASSERT_FALSE(paths.empty()) << text;
    for (const Json& path : paths) {
      const auto steps = path["steps"].items();
      ASSERT_FALSE(steps.empty());
      EXPECT_EQ(address_of(steps.back()["address"]), address);
      for (size_t i = 0; i < steps.size(); ++i) {
        const uint64_t reference = address_of(steps[i]["reference"]);
        if (reference == 0) continue;  // a register leads here
        auto target = objects.find(address_of(steps[i]["address"]));
        ASSERT_NE(target, objects.end());
        auto word = core.word(reference);
        ASSERT_TRUE(word) << std::hex << reference;
        EXPECT_GE(*word, target->first) << std::hex << reference;
        EXPECT_LT(*word, target->first + target->second) << std::hex << reference;
        if (i > 0 && steps[i]["repeat"].number() == 1) {
          auto before = objects.find(address_of(steps[i - 1]["address"]));
          if (before != objects.end()) {
            EXPECT_GE(reference, before->first);
            EXPECT_LT(reference, before->first + before->second);
          }
        }
        ++steps_walked;
      }
    }
  }
  EXPECT_GE(steps_walked, kPaths);
}

INSTANTIATE_TEST_SUITE_P(Programs, PathWalk, ::testing::Values("demo_server", "bench_heap"),
                         [](const auto& program) { return std::string(program.param); });

}  // namespace
}  // namespace heapwalk::test
