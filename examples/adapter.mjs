// The same in JavaScript, in the JSON form: tinycompress verify --command "node adapter.mjs"
import { createInterface } from "node:readline";

const say = (object) => process.stdout.write(JSON.stringify(object) + "\n");
const view = new DataView(new ArrayBuffer(8));
const single = (hex) => (view.setUint32(0, parseInt(hex, 16)), view.getFloat32(0));
const double = (hex) => (view.setBigUint64(0, BigInt("0x" + hex)), view.getFloat64(0));
const hexOfSingle = (x) => (view.setFloat32(0, x), view.getUint32(0).toString(16).padStart(8, "0"));

function halfEven(x) { // Math.round goes up at ties: of two equally near integers take the even one
  const down = Math.floor(x), over = x - down;
  return over < 0.5 || (over === 0.5 && down % 2 === 0) ? down : down + 1;
}

const operations = {
  quantize(x, scale, zero, qmin, qmax) {
    const s = Math.fround(double(scale.data[0]));
    const codes = x.data.map((hex) => {
      const q = halfEven(Math.fround(single(hex) / s)) + zero.data[0];
      return Number.isNaN(q) ? qmin.data[0] : Math.min(Math.max(q, qmin.data[0]), qmax.data[0]);
    });
    return [{ type: "i32", shape: x.shape, data: codes }];
  },
  dequantize(q, scale, zero) {
    const s = Math.fround(double(scale.data[0]));
    // q - z and s have few enough bits that their product is exact in a double: one rounding, to single, is left
    return [{ type: "f32", shape: q.shape, data: q.data.map((c) => hexOfSingle((c - zero.data[0]) * s)) }];
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  if (request.hello) say({ hello: 1, operations: Object.keys(operations) });
  else if (request.bye) break;
  else {
    const operation = operations[request.run];
    if (!operation) say({ id: request.id, unsupported: request.run });
    else say({ id: request.id, ok: operation(...request.args) });
  }
}
