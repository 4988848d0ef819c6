// JSON (RFC 8259), written as it is produced.
//
// The writer keeps commas, quotes and indentation right, so that a document reads as its schema. Containers down to
// `kOpenDepth` get a line per element, deeper ones stay on one line: a row of a table is a line, which `grep` and `diff` like.
#pragma once

#include <cstdint>
#include <string_view>

#include "report/output.h"

namespace heapwalk {

class JsonWriter {
 public:
  explicit JsonWriter(Output& output) : output_(output) {}

  void begin_object() { begin('{'); }
  void end_object() { end('}'); }
  void begin_array() { begin('['); }
  void end_array() { end(']'); }
  void key(std::string_view name);

  void value(std::string_view text);  // escaped
  void value(const char* text) { value(std::string_view(text)); }
  void value(uint64_t number);
  void value(bool truth);
  void value_seconds(double seconds);  // three decimals
  void value_real(double number);      // as many decimals as tell it from others; null when there is no such number
  void value_null();

  template <class T>
  void member(std::string_view name, const T& v) {
    key(name);
    value(v);
  }
  // An array of objects: body(row) writes the members of each.
  template <class Rows, class Body>
  void rows(std::string_view name, const Rows& list, Body body) {
    key(name);
    begin_array();
    for (const auto& row : list) {
      begin_object();
      body(row);
      end_object();
    }
    end_array();
  }
  // After the outermost end: the line break that ends the document.
  void finish() { output_.write("\n"); }

 private:
  static constexpr int kOpenDepth = 2;
  void separate();
  void begin(char bracket);
  void end(char bracket);

  Output& output_;
  int depth_ = 0;
  bool first_ = true;  // nothing written yet in the current container
  bool after_key_ = false;
};

}  // namespace heapwalk
