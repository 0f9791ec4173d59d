import { execFile } from "node:child_process";
import { rm, writeFile } from "node:fs/promises";
import { isIP } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { Failure, messageOf } from "../../runtime/base/failure.ts";
import { disk } from "../../runtime/store/disk.ts";

const run = promisify(execFile);
const DAYS = { authority: 3650, certificate: 825 } as const;

/**
 * A certificate authority of the fleet's own in a folder, `ca.crt` and `ca.key`, made with openssl: who connects to the
 * broker. It has nothing to do with what devices run, which the keys of the repository decide.
 */
export class Authority {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** The one in the folder, or a new one. @throws Failure input/missing without openssl */
  static async open(folder: string): Promise<Authority> {
    await disk.makeFolder(folder);
    const authority = new Authority(folder);
    if ((await disk.size(authority.path("ca.crt"))) === undefined) await authority.#create();
    return authority;
  }

  path(name: string): string {
    return join(this.#folder, name);
  }

  /** Whose certificates are here, but for its own. */
  async names(): Promise<readonly string[]> {
    const certificates = (await disk.list(this.#folder)).filter((file) => file.endsWith(".crt"));
    return certificates
      .map((file) => file.slice(0, -".crt".length))
      .filter((name) => name !== "ca")
      .sort();
  }

  /** `<name>.crt` and `<name>.key`. A broker gets the names that clients reach it by; a client has none. */
  async issue(name: string, hosts: readonly string[] = []): Promise<void> {
    const [key, request, extensions] = [`${name}.key`, `${name}.csr`, `${name}.ext`].map((file) => this.path(file));
    const names = hosts.map((host) => `${isIP(host) ? "IP" : "DNS"}:${host}`).join(",");
    const usage = hosts.length > 0 ? `serverAuth\nsubjectAltName=${names}` : "clientAuth";
    await writeFile(extensions, `basicConstraints=CA:FALSE\nkeyUsage=digitalSignature\nextendedKeyUsage=${usage}\n`);
    await this.#openssl("req", "-new", ...this.#newKey(key), "-subj", `/CN=${name}`, "-out", request);
    const by = ["-CA", this.path("ca.crt"), "-CAkey", this.path("ca.key"), "-CAcreateserial"];
    const dated = ["-days", String(DAYS.certificate), "-extfile", extensions, "-out", this.path(`${name}.crt`)];
    await this.#openssl("x509", "-req", "-in", request, ...by, ...dated);
    await Promise.all([rm(request), rm(extensions)]);
  }

  async #create(): Promise<void> {
    const what = ["-x509", "-days", String(DAYS.authority), "-subj", "/CN=polaredge fleet"];
    await this.#openssl("req", ...what, ...this.#newKey(this.path("ca.key")), "-out", this.path("ca.crt"));
  }

  #newKey(path: string): string[] {
    return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", path];
  }

  async #openssl(...args: readonly string[]): Promise<void> {
    await run("openssl", [...args]).catch((error: unknown) => {
      throw new Failure("input/missing", `openssl (apt install openssl): ${messageOf(error)}`, {}, error);
    });
  }
}
