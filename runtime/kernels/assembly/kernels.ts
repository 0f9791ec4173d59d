// AssemblyScript, not TypeScript: `npm run build:kernels` compiles this and narrow.ts to one module per family.
// Every export takes the address of its descriptor and allocates nothing.
export { conv2d } from "./convolution";
export { depthwise } from "./depthwise";
export { add, dequantize, lookup, mul, quantize } from "./elementwise";
export { average_pool, max_pool } from "./pool";
