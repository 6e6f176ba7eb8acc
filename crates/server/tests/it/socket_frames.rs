//! A hundred thousand frames that nobody would send in earnest: none brings an error of the server's, a
//! panic, or a socket that answers no more.

use futures_util::SinkExt as _;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::socket::{GATEWAY, Socket, connect, operated_with};

const FRAMES: u32 = 100_000;
/// After so many the socket is asked whether it still answers.
const ROUND: u32 = 500;

/// xorshift64*: the same frames each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(high).unwrap() % sides.max(1)
    }

    fn pick<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.roll(of.len())]
    }
}

const METHODS: [&str; 12] = [
    "node.pair.request",
    "node.pair.confirm",
    "node.pair.approve",
    "node.pair.reject",
    "node.pair.revoke",
    "node.pair.list",
    "node.pair.refresh",
    "node.pair.rename",
    "node.pair.remove",
    "node.pair.verify",
    "system.welcome",
    "",
];
const NAMES: [&str; 7] =
    ["device_id", "device_name", "device_type", "client_version", "pairing_code", "device_token", "x"];
const VALUES: [&str; 18] = [
    "null",
    "true",
    "0",
    "-0",
    "1e308",
    "123456",
    "\"123456\"",
    "\"000000\"",
    "\"ios\"",
    "\"\"",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "\"6f1c0d9e-58c1-4d8e-9b1a-2f00d2a4c001\"",
    "\"6f1c0d9e-58c1-4d8e-9b1a-2f00d2a4c002\"",
    "\"cs_dt_x\"",
    "[]",
    "{}",
    "[[[[1]]]]",
];

fn call(dice: &mut Dice) -> String {
    let params: Vec<String> =
        (0..dice.roll(6)).map(|_| format!("\"{}\":{}", dice.pick(&NAMES), dice.pick(&VALUES))).collect();
    let params = match dice.roll(12) {
        0 => dice.pick(&VALUES).to_owned(),
        _ => format!("{{{}}}", params.join(",")),
    };
    let id = match dice.roll(4) {
        0 => String::new(),
        _ => format!("\"id\":{},", dice.pick(&VALUES)),
    };
    format!("{{\"jsonrpc\":\"2.0\",{id}\"method\":\"{}\",\"params\":{params}}}", dice.pick(&METHODS))
}

fn mutated(dice: &mut Dice) -> String {
    let mut text = match dice.roll(6) {
        0 => format!("[{}]", (0..dice.roll(5)).map(|_| call(dice)).collect::<Vec<_>>().join(",")),
        _ => call(dice),
    };
    for _ in 0..[0, 0, 1, 2, 8][dice.roll(5)] {
        let mut symbols: Vec<char> = text.chars().collect();
        let at = dice.roll(symbols.len());
        match dice.roll(5) {
            0 if !symbols.is_empty() => drop(symbols.remove(at)),
            1 => {
                symbols.insert(at, ['{', '}', '[', ']', '"', ',', ':', '\\', '\u{202e}', 'é'][dice.roll(10)]);
            }
            2 => symbols.truncate(at),
            3 if !symbols.is_empty() => symbols[at] = char::from(u8::try_from(dice.roll(128)).unwrap()),
            _ => symbols.extend("[".repeat(dice.roll(300)).chars()),
        }
        text = symbols.into_iter().collect();
    }
    text
}

/// Whatever came until the socket has answered that it is still there.
async fn answers(socket: &mut Socket) -> Vec<Value> {
    socket.say(&json!({ "jsonrpc": "2.0", "id": "still there", "method": "node.pair.verify", "params": { "device_token": "x" } }).to_string()).await;
    let mut answers = Vec::new();
    loop {
        let answer = socket.next().await;
        if answer["id"] == "still there" {
            // Strangers verify nothing.
            assert!(
                answer["result"] == json!({ "ok": false }) || answer["error"]["code"] == -32001,
                "{answer}"
            );
            return answers;
        }
        answers.push(answer);
    }
}

#[tokio::test]
async fn a_hundred_thousand_frames_harm_nobody() {
    let server = operated_with(&[("rate_limit.enabled", "false")]).await;
    let mut dice = Dice(0x5EED);
    let mut kinds = std::collections::BTreeMap::<i64, u32>::new();
    for _ in 0..FRAMES / ROUND {
        let mut socket = connect(&server, (dice.roll(4) > 0).then_some(GATEWAY)).await;
        for _ in 0..ROUND {
            let frame = mutated(&mut dice);
            socket.stream.feed(Message::Text(frame.into())).await.unwrap();
        }
        let flat = answers(&mut socket).await.into_iter().flat_map(|answer| match answer {
            Value::Array(answers) => answers,
            one => vec![one],
        });
        for answer in flat {
            let code = answer["error"]["code"].as_i64().unwrap_or_default();
            assert_ne!(code, -32603, "{answer}");
            *kinds.entry(code).or_default() += 1;
        }
    }
    // They reached every part: good calls, and every kind of bad ones.
    for kind in [0, -32700, -32600, -32601, -32602, -32003] {
        assert!(kinds.get(&kind).is_some_and(|count| *count > 100), "{kind}: {kinds:?}");
    }
}
