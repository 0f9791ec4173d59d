import { request } from "node:http";
import { Failure } from "../../runtime/base/failure.ts";
import { argmax, type Tensor } from "../../runtime/tensor/tensor.ts";

/** What became of the questions that were asked meanwhile. */
export interface Asked {
  readonly answered: number;
  readonly refused: number;
  /** Share of the answers that name the same class as before, per cent. */
  readonly samePct: number;
}

/** A program on the device that asks the model for classes over the agent's socket (Open Inference Protocol v2). */
export class Application {
  readonly #socket: string;
  readonly #path: string;
  readonly #input: string;
  readonly #samples: Tensor;

  private constructor(socket: string, path: string, input: string, samples: Tensor) {
    this.#socket = socket;
    this.#path = path;
    this.#input = input;
    this.#samples = samples;
  }

  /** @throws Failure serve/unavailable */
  static async open(socket: string, model: string, samples: Tensor): Promise<Application> {
    const path = `/v2/models/${model}`;
    const { inputs } = JSON.parse(await asked(socket, path));
    return new Application(socket, path, inputs[0].name, samples);
  }

  /** Asks about one sample after the other, again and again until `meanwhile` ends, and at least once about each. */
  async during(known: readonly number[], meanwhile: Promise<unknown>): Promise<Asked> {
    let [over, answered, refused, same] = [false, 0, 0, 0];
    const end = meanwhile.finally(() => {
      over = true;
    });
    for (let i = 0; !over || i < known.length; i++) {
      const at = i % known.length;
      await this.#classOf(at).then(
        (found) => {
          answered++;
          if (found === known[at]) same++;
        },
        () => refused++,
      );
    }
    await end;
    return { answered, refused, samePct: (100 * same) / answered };
  }

  /** @throws Failure serve/unavailable */
  async classes(): Promise<number[]> {
    const found: number[] = [];
    for (let i = 0; i < this.#samples.shape[0]; i++) found.push(await this.#classOf(i));
    return found;
  }

  async #classOf(i: number): Promise<number> {
    const [count, ...shape] = this.#samples.shape;
    const size = this.#samples.data.length / count;
    const data = [...this.#samples.data.subarray(i * size, (i + 1) * size)];
    const inputs = [{ name: this.#input, shape: [1, ...shape], datatype: "FP32", data }];
    const { outputs } = JSON.parse(await asked(this.#socket, `${this.#path}/infer`, JSON.stringify({ inputs })));
    return argmax(Float32Array.from(outputs[0].data));
  }
}

/** GET, or POST where there is a body. @throws Failure serve/unavailable for any other status than 200 */
function asked(socketPath: string, path: string, body?: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const failed = (why: string): void => reject(new Failure("serve/unavailable", `${path}: ${why}`, { path }));
    const asking = request({ socketPath, path, method: body === undefined ? "GET" : "POST" }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (part: string) => {
        text += part;
      });
      response.on("end", () => (response.statusCode === 200 ? resolve(text) : failed(text)));
    });
    asking.on("error", (error) => failed(error.message));
    asking.end(body);
  });
}
