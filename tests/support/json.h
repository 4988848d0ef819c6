// JSON documents in tests, read by protobuf's own parser: a second opinion on what the writers write.
//
//     Json report = parse_json(text);
//     report["totals"]["used_bytes"].number();
#pragma once

#include <google/protobuf/struct.pb.h>

#include <cstdint>
#include <string>
#include <vector>

namespace heapwalk::test {

class Json {
 public:
  explicit Json(google::protobuf::Value value) : value_(std::move(value)) {}

  // Null where there is no such key or element.
  Json operator[](const std::string& key) const;
  Json operator[](size_t index) const;
  std::vector<Json> items() const;  // of an array; empty for anything else

  bool is_null() const { return value_.kind_case() <= google::protobuf::Value::kNullValue; }
  uint64_t number() const { return static_cast<uint64_t>(value_.number_value()); }
  double real() const { return value_.number_value(); }
  const std::string& text() const { return value_.string_value(); }
  bool has(const std::string& key) const { return value_.struct_value().fields().contains(key); }

 private:
  google::protobuf::Value value_;
};

// Fails the test and returns null when the text is no JSON.
Json parse_json(const std::string& text);

}  // namespace heapwalk::test
