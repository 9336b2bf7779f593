// The welcome card: a name and a password, for an account there is or a new one.
import { call, type } from "/protocol.js";
import { $, explain } from "/ui.js";

let registering = false;
let enter = () => {};

export function onLogin(action) { enter = action; }

function setMode(register) {
  registering = register;
  $("tab-login").setAttribute("aria-selected", String(!register));
  $("tab-register").setAttribute("aria-selected", String(register));
  $("tab-login").tabIndex = register ? -1 : 0;
  $("tab-register").tabIndex = register ? 0 : -1;
  $("login-form").setAttribute("aria-labelledby", register ? "tab-register" : "tab-login");
  $("login-button").textContent = register ? "Create account" : "Sign in";
  $("password").autocomplete = register ? "new-password" : "current-password";
  $("login-error").textContent = "";
}

async function submitLogin() {
  const auth = { name: $("name").value, pwd: $("password").value };
  if ($("domain").value) auth.domain = $("domain").value;
  $("login-error").textContent = "";
  $("login-button").disabled = true;
  try {
    if (registering) {
      const ack = await call(type.register, auth);
      if (!ack.ok) throw new Error(explain(ack.error));
    }
    enter(auth);
  } catch (problem) {
    failLogin(problem.message);
  }
}

export function failLogin(text) {
  $("login-error").textContent = text;
  $("login-button").disabled = false;
}

$("tab-login").addEventListener("click", () => setMode(false));
$("tab-register").addEventListener("click", () => setMode(true));
for (const tab of ["tab-login", "tab-register"]) {
  $(tab).addEventListener("keydown", (event) => {
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    setMode(!registering);
    $(registering ? "tab-register" : "tab-login").focus();
  });
}
$("login-form").addEventListener("submit", (event) => { event.preventDefault(); submitLogin(); });
