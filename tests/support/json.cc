#include "tests/support/json.h"

#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

namespace heapwalk::test {

Json Json::operator[](const std::string& key) const {
  const auto& fields = value_.struct_value().fields();
  auto at = fields.find(key);
  return Json(at == fields.end() ? google::protobuf::Value() : at->second);
}

Json Json::operator[](size_t index) const {
  const auto& values = value_.list_value().values();
  return Json(index < static_cast<size_t>(values.size()) ? values[static_cast<int>(index)] : google::protobuf::Value());
}

std::vector<Json> Json::items() const {
  std::vector<Json> result;
  for (const auto& value : value_.list_value().values()) result.emplace_back(value);
  return result;
}

Json parse_json(const std::string& text) {
  google::protobuf::Value value;
  auto status = google::protobuf::util::JsonStringToMessage(text, &value);
  EXPECT_TRUE(status.ok()) << status.ToString() << "\n" << text.substr(0, 1000);
  return Json(std::move(value));
}

}  // namespace heapwalk::test
