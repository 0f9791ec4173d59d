/**
 * The converter names a fused tensor after everything that went into it, separated by semicolons, outermost scope
 * first: "model/activation/Relu;model/bn/FusedBatchNormV3;model/conv2d/BiasAdd;model/conv2d/Conv2D". The layer with
 * the bias is the one that people know, here conv2d.
 */
export function readableName(tensor: string): string {
  const parts = tensor.split(";");
  const part = parts.find((name) => name.endsWith("/BiasAdd")) ?? parts[parts.length - 1];
  const scopes = part.split("/");
  return scopes.length >= 3 ? scopes.slice(1, -1).join("/") : part;
}
