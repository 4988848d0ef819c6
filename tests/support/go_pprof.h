// pprof itself, as it comes with Go: the reader that counts.
#pragma once

#include <string>
#include <vector>

#include "tests/support/heapwalk_command.h"

namespace heapwalk::test {

// Why `go tool pprof` cannot be run here; empty: it can.
std::string why_no_go_pprof();

// `go tool pprof ARGUMENTS…`, its scratch files and settings below `directory`.
CommandOutput run_go_pprof(const std::string& directory, std::vector<std::string> arguments);

// `go tool pprof -http`, as long as this lives. At a port that was free.
class GoPprofServer {
 public:
  // Returns when it answers, or has given up.
  GoPprofServer(const std::string& directory, const std::string& profile);
  ~GoPprofServer();  // ends it, and what it started
  GoPprofServer(const GoPprofServer&) = delete;
  GoPprofServer& operator=(const GoPprofServer&) = delete;

  const std::string& error() const { return error_; }
  struct Page {
    int status = 0;  // of HTTP; 0: no answer
    std::string text;
  };
  // "/top", "/peek?f=.": below /ui since Go 1.26, whatever this pprof has.
  Page get(const std::string& path) const;

 private:
  Page request(const std::string& path) const;

  int process_ = -1;
  uint16_t port_ = 0;
  std::string prefix_, error_;
};

}  // namespace heapwalk::test
