#include "report/json_writer.h"

#include <cmath>
#include <string>

#include "report/escape.h"

namespace heapwalk {

void JsonWriter::separate() {
  if (after_key_) {
    after_key_ = false;
    return;
  }
  if (!first_) output_.write(depth_ > kOpenDepth ? ", " : ",");
  if (depth_ > 0 && depth_ <= kOpenDepth) output_.print("\n{:{}}", "", depth_ * 2);
  first_ = false;
}

void JsonWriter::begin(char bracket) {
  separate();
  output_.print("{}", bracket);
  ++depth_;
  first_ = true;
}

void JsonWriter::end(char bracket) {
  if (!first_ && depth_ <= kOpenDepth) output_.print("\n{:{}}", "", (depth_ - 1) * 2);
  output_.print("{}", bracket);
  --depth_;
  first_ = false;
}

void JsonWriter::key(std::string_view name) {
  separate();
  output_.print("{}: ", json_string(name));
  after_key_ = true;
}

void JsonWriter::value(std::string_view text) {
  separate();
  output_.write(json_string(text));
}

void JsonWriter::value(uint64_t number) {
  separate();
  output_.print("{}", number);
}

void JsonWriter::value(bool truth) {
  separate();
  output_.write(truth ? "true" : "false");
}

void JsonWriter::value_seconds(double seconds) {
  separate();
  output_.print("{:.3f}", seconds);
}

void JsonWriter::value_real(double number) {
  if (!std::isfinite(number)) return value_null();
  separate();
  output_.print("{}", number);
}

void JsonWriter::value_null() {
  separate();
  output_.write("null");
}

}  // namespace heapwalk
