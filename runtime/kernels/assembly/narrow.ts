// What is worth a build for the machine: the kernels for narrow weights (dot.ts), which do nearly all multiplications.
export { conv2d_narrow } from "./convolution";
export { depthwise3_narrow } from "./depthwise-narrow";
