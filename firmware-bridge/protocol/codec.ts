import { Reader, Writer } from "../../runtime/base/bytes.ts";
import { Failure } from "../../runtime/base/failure.ts";
import { type CommandName, commands, type Fields, type FieldType, type Reply, type Request } from "./commands.ts";

interface Wire<T> {
  read(from: Reader): T;
  write(to: Writer, value: T): void;
}

const wires: { readonly [T in FieldType]: Wire<T extends "bytes" ? Uint8Array : number> } = {
  u8: { read: (from) => from.u8(), write: (to, value) => to.u8(value) },
  u16: { read: (from) => from.u16(), write: (to, value) => to.u16(value) },
  u32: { read: (from) => from.u32(), write: (to, value) => to.u32(value) },
  i32: { read: (from) => from.i32(), write: (to, value) => to.i32(value) },
  bytes: {
    read: (from) => from.bytes(from.u16()),
    write(to, value) {
      if (value.length > 0xffff) throw new Failure("input/shape", `${value.length} bytes do not fit in one field`);
      to.u16(value.length);
      to.bytes(value);
    },
  },
};

export function encodeRequest<C extends CommandName>(command: C, values: Request<C>): Uint8Array {
  return encode(commands[command].request, values);
}

/** @throws Failure `bytes/...` unless `bytes` are exactly the request's fields. */
export function decodeRequest<C extends CommandName>(command: C, bytes: Uint8Array): Request<C> {
  return decode(commands[command].request, bytes) as Request<C>;
}

export function encodeReply<C extends CommandName>(command: C, values: Reply<C>): Uint8Array {
  return encode(commands[command].reply, values);
}

/** @throws Failure `bytes/...` unless `bytes` are exactly the reply's fields. */
export function decodeReply<C extends CommandName>(command: C, bytes: Uint8Array): Reply<C> {
  return decode(commands[command].reply, bytes) as Reply<C>;
}

type Values = Readonly<Record<string, number | Uint8Array>>;

/** The fields one after the other, in the order of the table. */
function encode(fields: Fields, values: Values): Uint8Array {
  const to = new Writer();
  for (const [name, type] of Object.entries(fields)) wireOf(type).write(to, values[name]);
  return to.finish();
}

/** Exactly these fields: a byte missing or left over is a failure, never a guess. */
function decode(fields: Fields, bytes: Uint8Array): Values {
  const from = new Reader(bytes);
  const values = Object.fromEntries(Object.entries(fields).map(([name, type]) => [name, wireOf(type).read(from)]));
  from.end();
  return values;
}

function wireOf(type: FieldType): Wire<number | Uint8Array> {
  return wires[type] as Wire<number | Uint8Array>;
}
