// Node: one recorded step of the tape. It stands beside its function in layers/functional.
#pragma once
#include <memory>
#include <span>
#include <vector>

#include "graft/core/autograd/grad_meta.h"
#include "graft/core/tensor/tensor.h"

namespace graft {

// How to make a result again, in one cheap pass over what its node keeps anyway.
class GRAFT_API Remake {
 public:
  virtual ~Remake();
  virtual Tensor operator()() const = 0;
};

// A tensor kept for backward; or, where the node that made it has one, its Remake, which the first
// get() runs. get() throws Error(bad_input) when it was overwritten since it was saved, or when the
// graph was consumed by an earlier backward.
class GRAFT_API SavedTensor {
 public:
  SavedTensor() = default;
  explicit SavedTensor(const Tensor& tensor);  // keeps the elements, not the graph
  const Tensor& get(const char* op) const;
  bool defined() const { return tensor_.defined() || remake_; }
  void release() { tensor_ = Tensor(), remake_ = nullptr; }

 private:
  mutable Tensor tensor_;
  std::shared_ptr<const Remake> remake_;
  uint64_t version_ = 0;
  bool saved_ = false;  // true from construction with a tensor on, also after release()
};

// Where a node's gradient goes: the tensor that was its input.
struct Edge {
  std::shared_ptr<Node> node{};  // who made the input; null for a leaf
  int output = 0;
  std::shared_ptr<GradMeta> leaf{};  // the leaf's meta; null when node is set
  bool needed = false;               // false: nobody asked for this gradient
};

class GRAFT_API Node {
 public:
  Node() = default;
  virtual ~Node();  // a long chain is dropped without recursion
  virtual const char* name() const = 0;
  // grads[i] is the gradient of output i (undefined: zero). Returns one gradient per input,
  // undefined where needs(i) is false: compute only what is needed.
  virtual std::vector<Tensor> backward(std::span<const Tensor> grads) = 0;
  // Drops what was saved for backward; called once the node is done.
  virtual void release() = 0;
  // The way to make `output` again, for those who would save it for backward. Null: its elements
  // are to be kept.
  virtual std::shared_ptr<const Remake> remake(int /*output*/) const { return nullptr; }

  // For backward() alone: what other operations have summed up so far of an input's gradient; null
  // when there is nothing, or when others hold it. A node that adds its own part to it in the pass
  // that computes that part takes the tensor out of here and returns it; the other way is to return
  // the part, which is then added.
  Tensor* gradient_so_far(int input) const {
    return so_far_.empty() ? nullptr : so_far_[static_cast<size_t>(input)];
  }

  bool needs(int input) const { return edges_[static_cast<size_t>(input)].needed; }
  const std::vector<Edge>& edges() const { return edges_; }
  int outputs() const { return outputs_; }

 private:
  friend GRAFT_API void attach_node(const std::shared_ptr<Node>&, std::span<const Tensor>,
                                    std::span<const Tensor>);
  friend class BackwardWalk;
  std::vector<Edge> edges_;             // one per input
  std::vector<Tensor*> so_far_;         // one per input while backward() runs
  std::shared_ptr<Node> next_dropped_;  // while a graph is dropped
  int outputs_ = 1;
  bool consumed_ = false;  // a backward went through it
};

// Makes `node` the maker of `outputs`, with an edge to each of `inputs`. Called by record() alone.
GRAFT_API void attach_node(const std::shared_ptr<Node>& node, std::span<const Tensor> inputs,
                           std::span<const Tensor> outputs);

}  // namespace graft
