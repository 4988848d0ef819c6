// What a Go program says about its goroutines while it dies, or through runtime.Stack: text for people, read back.
//
//     goroutine 31 gp=0xc000007a40 m=0 mp=0x6746a0 [chan receive, 2 minutes]:
//     main.(*pair[...]).wait(0x0, 0x0?)
//             /src/main.go:28 +0x1e fp=0xc000064fe0 sp=0xc000064f98 pc=0x506f75
//     main.block(...)                                                        ◄ inlined: no pc of its own
//             /src/main.go:37
//     ...23 frames elided...
//     created by main.start in goroutine 1
//             /src/main.go:31 +0x13
//
// Addresses are there with GOTRACEBACK=crash only. Source: Go 1.19 … 1.27 runtime/traceback.go.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace heapwalk::test {

struct TracebackFrame {
  std::string function;  // as printed, without arguments
  std::string file;
  uint32_t line = 0;
  uint64_t offset = 0;  // of the pc in the function
  uint64_t fp = 0, sp = 0, pc = 0;
  bool inlined = false;
  uint64_t elided_before = 0;  // so many frames stand between the previous one and this
};

struct TracebackGoroutine {
  uint64_t id = 0;
  uint64_t g = 0;     // 0 where it is not said
  std::string state;  // "chan receive"
  std::vector<TracebackFrame> frames;
  bool truncated = false;                // more frames follow that were not printed
  std::string created_by, created_file;  // empty: not said
  uint32_t created_line = 0;
  uint64_t parent = 0;
};

// By id. Where the text has a goroutine several times, the last one with frames.
std::map<uint64_t, TracebackGoroutine> parse_go_traceback(std::string_view text);

}  // namespace heapwalk::test
