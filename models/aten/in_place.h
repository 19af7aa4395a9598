// What a program's in-place operators do to the values that share their memory.
#pragma once
#include <string>
#include <unordered_map>
#include <vector>

#include "graft/models/aten/aten_call.h"

namespace graft::models::aten {

class SharedMemory {
 public:
  explicit SharedMemory(const io::ExportedProgram& program);
  // Which nodes the user's outputs need: those that give a value, and those that change one.
  std::vector<bool> needed() const;
  // Behind a node: its results know their memory, and what it changed is changed in all that share
  // it. A change that cannot be followed makes the values stale, which are refused when read.
  void follow(Building& building, AtenCall& call, const AtenName& name, const AtenOperator& op);

 private:
  size_t storage_of(const std::string& value) const;
  void write_slice(Building& building, AtenCall& call, const Known& changed);

  const io::ExportedProgram& program_;
  std::unordered_map<std::string, size_t> storages_;  // by value
  std::vector<std::vector<std::string>> members_;     // by storage
  int64_t masked_ = 0;
};

}  // namespace graft::models::aten
