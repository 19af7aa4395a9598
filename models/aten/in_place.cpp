#include "graft/models/aten/in_place.h"

#include <algorithm>
#include <unordered_set>

#include "graft/core/base/checked_math.h"

namespace graft::models::aten {
namespace {

using io::ExportedKind;
using io::ExportedNode;

constexpr size_t kMostMembers = 4096;            // of one memory: each change looks at all
constexpr int64_t kMostMask = int64_t{1} << 20;  // elements of all masks

const std::string* first_tensor(const ExportedNode& node) {
  for (const auto& argument : node.inputs)
    if (argument.kind == ExportedKind::tensor) return &argument.texts[0];
  return nullptr;
}

void names_read(const ExportedNode& node, const std::function<void(const std::string&)>& take) {
  for (const auto& argument : node.inputs)
    for (const std::string& name : argument.texts)
      if (!name.empty() && argument.kind != ExportedKind::text &&
          argument.kind != ExportedKind::other)
        take(name);
}

// True in the part of a tensor of these sizes that the slices leave.
Tensor mask_of(const std::vector<int64_t>& sizes, const std::vector<std::array<int64_t, 4>>& slices,
               int64_t& masked) {
  int64_t elements = 1;
  for (const int64_t size : sizes) elements = checked_mul(elements, std::max<int64_t>(size, 1));
  const bool open = std::any_of(sizes.begin(), sizes.end(), [](int64_t size) { return size < 0; });
  GRAFT_CHECK(!open && elements <= kMostMask - masked,
              "parts of large tensors, or of tensors of open sizes, are changed in place");
  masked += elements;
  std::vector<std::vector<int64_t>> kept;  // by axis
  for (const int64_t size : sizes) {
    kept.emplace_back();
    for (int64_t i = 0; i < size; ++i) kept.back().push_back(i);
  }
  for (const auto& [axis, begin, end, step] : slices) {
    GRAFT_CHECK(axis < std::ssize(kept), "a slice of another shape");
    std::vector<int64_t>& rows = kept[static_cast<size_t>(axis)];
    const auto count = std::ssize(rows);
    const auto bound = [&](int64_t at) {
      return std::clamp<int64_t>(at < 0 ? at + count : at, 0, count);
    };
    std::vector<int64_t> left;
    for (int64_t i = bound(begin); i < bound(end) && step > 0; i += std::min(step, count))
      left.push_back(rows[static_cast<size_t>(i)]);
    rows = std::move(left);
  }
  Tensor mask = Tensor::zeros(Shape(sizes), {.dtype = DType::boolean});
  bool* out = mask.mutable_data<bool>();
  std::vector<size_t> at(sizes.size(), 0);
  if (std::any_of(kept.begin(), kept.end(), [](const auto& rows) { return rows.empty(); }))
    return mask;
  for (;;) {
    int64_t offset = 0;
    for (size_t axis = 0; axis < sizes.size(); ++axis)
      offset = offset * sizes[axis] + kept[axis][at[axis]];
    out[offset] = true;
    size_t axis = sizes.size();
    while (axis > 0 && ++at[axis - 1] == kept[axis - 1].size()) at[--axis] = 0;
    if (axis == 0) return mask;
  }
}

}  // namespace

SharedMemory::SharedMemory(const io::ExportedProgram& program) : program_(program) {
  const auto own = [&](const std::string& name, const std::string* shared) {
    const auto found = shared ? storages_.find(*shared) : storages_.end();
    const size_t storage = found == storages_.end() ? members_.size() : found->second;
    if (storage == members_.size()) members_.emplace_back();
    if (!storages_.emplace(name, storage).second) return;
    members_[storage].push_back(name);
  };
  for (const auto& input : program.inputs) own(input.name, nullptr);
  for (const ExportedNode& node : program.nodes) {
    const AtenName name = aten_name(node.target);
    const AtenOperator* op = find_aten(name.name);
    const bool shares = name.in_place || (op && op->view);
    for (const std::string& output : node.outputs)
      if (!output.empty()) own(output, shares ? first_tensor(node) : nullptr);
  }
}

size_t SharedMemory::storage_of(const std::string& value) const {
  const auto found = storages_.find(value);
  return found == storages_.end() ? members_.size() : found->second;
}

std::vector<bool> SharedMemory::needed() const {
  std::vector<bool> nodes(program_.nodes.size());
  std::unordered_set<std::string> values(program_.outputs.begin(), program_.outputs.end());
  std::vector<bool> storages(members_.size() + 1);
  const auto take = [&](const std::string& name) {
    values.insert(name);
    storages[storage_of(name)] = true;
  };
  for (const std::string& output : program_.outputs) take(output);
  storages.back() = false;
  for (size_t i = program_.nodes.size(); i-- > 0;) {
    const ExportedNode& node = program_.nodes[i];
    const std::string* changed = aten_name(node.target).in_place ? first_tensor(node) : nullptr;
    nodes[i] = (changed && storages[storage_of(*changed)]) ||
               std::any_of(node.outputs.begin(), node.outputs.end(),
                           [&](const auto& output) { return values.contains(output); });
    if (nodes[i]) names_read(node, take);
    storages.back() = false;
  }
  values.erase("");
  return nodes;
}

void SharedMemory::follow(Building& b, AtenCall& call, const AtenName& name,
                          const AtenOperator& op) {
  if (!name.in_place || op.view) return;
  const std::string* self = first_tensor(call.node());
  if (!self || !b.known.contains(*self)) return;
  const Known changed = b.known.at(*self);
  const std::string& result = call.node().outputs.at(0);
  GRAFT_CHECK(b.known.contains(result), "has no result");
  const Known now = b.known.at(result);
  const std::vector<std::string>& members = members_.at(storage_of(*self));
  GRAFT_CHECK(members.size() <= kMostMembers, "more than ", kMostMembers,
              " views of one memory are changed in place");
  for (const std::string& member : members) {
    const auto known = b.known.find(member);
    if (known == b.known.end() || member == result) continue;
    if (known->second.value == changed.value)
      known->second.value = now.value;
    else
      known->second.stale = true;
  }
  b.known.at(result).base = changed.base;
  b.known.at(result).slices = changed.slices;
  if (!changed.base.empty()) write_slice(b, call, changed);
}

// One number written into a part of a tensor: the tensor is whole again, its other views are not.
void SharedMemory::write_slice(Building& b, AtenCall& call, const Known& changed) {
  const char* source = call.find("src") ? "src" : "value";
  const bool zero = aten_name(call.node().target).name == "zero";
  if ((!zero && !call.find(source)) || changed.slices.empty()) return;
  if (call.is_tensor(source))
    for (const int64_t size : call.meta(source).sizes)
      if (size != 1) return;
  Known& base = b.known.at(changed.base);
  const io::ExportedMeta& meta = b.meta(changed.base);
  const std::string mask = call.constant(mask_of(meta.sizes, changed.slices, masked_));
  std::string value = call.is_tensor(source) ? call.cast(call.tensor(source), meta.type)
                                             : call.number(zero ? 0 : call.real(source), meta.type);
  if (call.is_tensor(source))
    value = call.add("Reshape", {value, call.numbers(std::vector<int64_t>(meta.sizes.size(), 1))});
  const std::string former = base.value;
  base.value = call.add("Where", {mask, value, former});
  base.stale = false;
}

}  // namespace graft::models::aten
