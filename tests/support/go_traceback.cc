#include "tests/support/go_traceback.h"

#include <cstdlib>
#include <regex>
#include <sstream>
#include <utility>

namespace heapwalk::test {
namespace {

uint64_t number_after(const std::string& line, const char* key) {
  const size_t at = line.find(key);
  return at == std::string::npos ? 0 : std::strtoull(line.c_str() + at + std::string_view(key).size(), nullptr, 0);
}

// "\t/src/main.go:28 +0x1e fp=… sp=… pc=…"
void parse_place(const std::string& line, std::string& file, uint32_t& number) {
  const size_t end = line.find(" +0x");
  const std::string place = line.substr(1, end == std::string::npos ? end : end - 1);
  const size_t colon = place.rfind(':');
  if (colon == std::string::npos) return;
  file = place.substr(0, colon);
  number = static_cast<uint32_t>(std::strtoul(place.c_str() + colon + 1, nullptr, 10));
}

bool parse_header(const std::string& line, TracebackGoroutine& goroutine) {
  static const std::regex pattern(R"(goroutine (\d+) (?:gp=(0x[0-9a-f]+) )?(?:m=\S+ )?(?:mp=\S+ )?\[(.*)\]:)");
  std::smatch match;
  if (!std::regex_match(line, match, pattern)) return false;
  goroutine = {};
  goroutine.id = std::strtoull(match[1].str().c_str(), nullptr, 10);
  goroutine.g = std::strtoull(match[2].str().c_str(), nullptr, 0);
  const std::string inside = match[3].str();
  goroutine.state = inside.substr(0, inside.find(", "));
  return true;
}

// The lines of one goroutine, behind its header, up to an empty one.
void parse_body(std::istream& lines, TracebackGoroutine& goroutine) {
  constexpr std::string_view kCreated = "created by ", kParent = " in goroutine ";
  std::string line, place;
  uint64_t elided = 0;
  bool counted = false;
  while (std::getline(lines, line) && !line.empty()) {
    if (line.starts_with("...")) {
      elided = std::strtoull(line.c_str() + 3, nullptr, 10);
      counted = elided != 0;
      continue;
    }
    if (!std::getline(lines, place) || !place.starts_with('\t')) break;  // registers follow
    if (line.starts_with(kCreated)) {
      const size_t parent = line.find(kParent);
      goroutine.created_by =
          line.substr(kCreated.size(), parent == std::string::npos ? parent : parent - kCreated.size());
      if (parent != std::string::npos) goroutine.parent = number_after(line, kParent.data());
      parse_place(place, goroutine.created_file, goroutine.created_line);
      continue;
    }
    TracebackFrame frame;
    const size_t arguments = line.rfind('(');
    frame.function = line.substr(0, arguments);
    frame.inlined = line.ends_with("(...)");
    parse_place(place, frame.file, frame.line);
    frame.offset = number_after(place, " +");
    frame.fp = number_after(place, " fp=");
    frame.sp = number_after(place, " sp=");
    frame.pc = number_after(place, " pc=");
    frame.elided_before = std::exchange(elided, 0);
    goroutine.frames.push_back(frame);
  }
  // Through 1.20 it stopped after 100 lines or one more, did not say how many follow, and not always that some do.
  goroutine.truncated = goroutine.frames.size() >= 100 && !counted;
}

}  // namespace

std::map<uint64_t, TracebackGoroutine> parse_go_traceback(std::string_view text) {
  std::map<uint64_t, TracebackGoroutine> goroutines;
  std::istringstream lines{std::string(text)};
  std::string line;
  while (std::getline(lines, line)) {
    TracebackGoroutine goroutine;
    if (!parse_header(line, goroutine)) continue;
    parse_body(lines, goroutine);
    TracebackGoroutine& known = goroutines[goroutine.id];
    if (known.frames.empty() || !goroutine.frames.empty()) known = goroutine;
  }
  return goroutines;
}

}  // namespace heapwalk::test
