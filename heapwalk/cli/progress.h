// What the program is doing, on standard error, once it takes longer than a second.
//
// A terminal gets one line that is rewritten in place and wiped at the end; anything else gets a line per long stage. The
// line must appear while a stage is busy, so a thread of its own wakes up each second to print it; it shares nothing with the
// analysis but the stage's name.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

namespace heapwalk::cli {

class Progress {
 public:
  // Disabled: does nothing at all.
  Progress(bool enabled, bool is_terminal);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void start_stage(std::string_view name);
  // Ends the display; nothing is printed afterwards.
  void finish();

 private:
  using Clock = std::chrono::steady_clock;

  void run();
  void end_stage();  // with the lock held
  void show_line();  // with the lock held
  double seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

  bool enabled_;
  bool is_terminal_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  bool line_shown_ = false;
  std::string stage_;
  Clock::time_point start_;
  std::thread thread_;
};

}  // namespace heapwalk::cli
