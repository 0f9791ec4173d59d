import {
  type CommandSpec,
  commands,
  type Fields,
  features,
  refusals,
} from "../../firmware-bridge/protocol/commands.ts";
import { CRC_BYTES, frameKinds, HEADER_BYTES, MAX_PAYLOAD } from "../../firmware-bridge/protocol/frame.ts";

/** `page` (firmware-bridge/PROTOCOL.md) with its generated parts as the tables are now. */
export function protocolPage(page: string): string {
  const parts: Readonly<Record<string, readonly string[]>> = {
    frame: [...list("`ctl`, the first byte: ", frameKinds), ...sizes],
    features: list("", features),
    commands: Object.entries(commands).flatMap(([name, spec]) => section(name, spec)),
    refusals: list("", refusals),
  };
  return page.replace(/<!-- (\w+) -->\n.*?<!-- end -->/gs, (_, part: string) =>
    [`<!-- ${part} -->`, ...(parts[part] ?? []), "<!-- end -->"].join("\n"),
  );
}

const sizes = [
  "",
  "| byte | field |",
  "| --- | --- |",
  ...["`ctl` u8", "`chan` u8: the command", "`seq` u8: the request's number; a reply has that of its request"].map(
    (field, at) => `| ${at} | ${field} |`,
  ),
  "| 3 | `ack` u8: the oldest request without an answer; in a reply as `seq` |",
  `| 4 | \`len\` u16: of the payload, at most ${MAX_PAYLOAD} |`,
  `| ${HEADER_BYTES} | payload |`,
  `| ${HEADER_BYTES} + len | CRC-32, ${CRC_BYTES} bytes |`,
];

function list(before: string, values: Readonly<Record<string, number>>): string[] {
  return [
    before +
      Object.entries(values)
        .map(([name, value]) => `${value} ${name}`)
        .join(", "),
  ];
}

function section(name: string, { id, about, request, reply }: CommandSpec): string[] {
  const rows = [...fields("request", request), ...fields("reply", reply)];
  return [
    `### 0x${id.toString(16).padStart(2, "0")} ${name}`,
    "",
    about,
    "",
    ...(rows.length === 0 ? ["No fields."] : ["| | field | type |", "| --- | --- | --- |", ...rows]),
    "",
  ];
}

function fields(of: "request" | "reply", all: Fields): string[] {
  return Object.entries(all).map(([field, type]) => `| ${of} | \`${field}\` | ${type} |`);
}
