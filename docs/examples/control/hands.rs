// Acts on a virtual token of fidokit, by its control socket. The standard library alone.
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;

/// Acts on one token.
pub struct Hands {
    stream: BufReader<UnixStream>,
}

impl Hands {
    /// Connects to a control socket; None is that of the token that `fidokit virtual run` gave us.
    pub fn reach(path: Option<&str>) -> io::Result<Hands> {
        let path = match path {
            Some(path) => path.to_string(),
            None => std::env::var("FIDOKIT_CONTROL").map_err(io::Error::other)?,
        };
        let mut hands = Hands { stream: BufReader::new(UnixStream::connect(path)?) };
        match hands.answer()?.starts_with("{\"fidokit-control\": 1,") {
            true => Ok(hands),
            false => Err(io::Error::other("another protocol")),
        }
    }

    /// One request, a JSON object; returns its answer, one too, whose first member is "ok".
    pub fn ask(&mut self, request: &str) -> io::Result<String> {
        self.stream.get_mut().write_all(format!("{request}\n").as_bytes())?;
        let answer = self.answer()?;
        match answer.starts_with("{\"ok\": true") {
            true => Ok(answer),
            false => Err(io::Error::other(answer)),
        }
    }

    fn answer(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.stream.read_line(&mut line)? {
            0 => Err(io::Error::other("the token is not served any more")),
            _ => Ok(line),
        }
    }

    /// Touch the token: now, if it waits, or the next time that it does.
    pub fn touch(&mut self) -> io::Result<()> {
        self.ask("{\"do\": \"touch\"}").map(drop)
    }

    /// What is asked for: "touch", "long-touch", "finger", "sample", or None.
    pub fn wait_for_touch(&mut self, seconds: u32) -> io::Result<Option<String>> {
        let request = format!("{{\"do\": \"wait-for-touch\", \"seconds\": {seconds}}}");
        Ok(text(&self.ask(&request)?, "waiting"))
    }
}

/// A text member of an answer.
pub fn text(answer: &str, name: &str) -> Option<String> {
    let (_, rest) = answer.split_once(&format!("\"{name}\": \""))?;
    rest.split_once('"').map(|(value, _)| value.to_string())
}

/// As a program: touches the token once it asks, then pulls it out and plugs it in again.
fn main() -> io::Result<()> {
    let mut hands = Hands::reach(None)?;
    let waiting = hands.wait_for_touch(30)?;
    println!("waits for: {}", waiting.unwrap_or_default());
    hands.touch()?;
    hands.ask("{\"do\": \"unplug\"}")?;
    hands.ask("{\"do\": \"insert\"}")?;
    hands.ask(concat!(
        "{\"do\": \"fault\", \"fault\": \"refuse\", ",
        "\"command\": \"getInfo\", \"with\": {\"status\": 127}}"
    ))?;
    println!("serial: {}", text(&hands.ask("{\"do\": \"state\"}")?, "serial").unwrap_or_default());
    Ok(())
}
