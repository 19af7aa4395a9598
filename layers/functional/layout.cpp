// functional::as_format and its Node.
#include "graft/core/autograd/record.h"
#include "graft/layers/functional/functional.h"

namespace graft::functional {
namespace {

class LayoutNode final : public Node {
 public:
  explicit LayoutNode(MemoryFormat format) : format_(format) {}
  const char* name() const override { return "layout"; }
  std::vector<Tensor> backward(std::span<const Tensor> grads) override { return {grads[0].to(format_)}; }
  void release() override {}

 private:
  MemoryFormat format_;
};

}  // namespace

Tensor as_format(const Tensor& x, MemoryFormat format) {
  if (x.rank() != 4 || x.format() == format) return x;
  return record(ops::LayoutAttributes{format}, {x}, x.to(format), [&] { return std::make_shared<LayoutNode>(x.format()); });
}

}  // namespace graft::functional
