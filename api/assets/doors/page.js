// The pages behind the links in mails. The token stands behind the #, where no server sees it; it goes to the API alone.
"use strict";

const token = new URLSearchParams(location.hash.slice(1)).get("token") ?? "";
const email = { name: "email", label: "Mail address", type: "email", autocomplete: "username" };
const password = (label, autocomplete) => ({ name: "password", label, type: "password", autocomplete });

const doors = {
  "/verify-email": {
    title: "Confirm your mail address",
    button: "Confirm",
    fields: [{ name: "handle", label: "Another handle, if yours is taken", type: "text", optional: true }],
    open: ({ handle }) => call("verifyEmail", "VerifyEmailInput", { token, handle: handle || null }),
    done: "Your account is there. You can sign in now.",
  },
  "/reset-password": {
    title: "Set a new password",
    button: "Set the password",
    fields: [password("New password, at least 10 characters", "new-password")],
    open: ({ password }) => call("resetPassword", "ResetPasswordInput", { token, password }),
    done: "The password is set. You can sign in with it now.",
  },
  "/accept-invitation": {
    title: "Accept the invitation",
    button: "Sign in and accept",
    fields: [email, password("Password", "current-password")],
    open: async ({ email, password }) => {
      const { session } = await call("signIn", "SignInInput", { email, password }, "session { accessToken }");
      await call("acceptInvitation", "AcceptInvitationInput", { token }, "", session.accessToken);
    },
    done: "You are a member of the team now.",
  },
};

async function call(name, input, variables, fields = "", bearer = null) {
  const query = `mutation ($input: ${input}!) { ${name}(input: $input) { ${fields} userErrors { message } } }`;
  const headers = { "content-type": "application/json", accept: "application/graphql-response+json" };
  if (bearer) headers.authorization = `Bearer ${bearer}`;
  const body = JSON.stringify({ query, variables: { input: variables } });
  const answer = await (await fetch("/graphql", { method: "POST", headers, body })).json();
  const payload = answer.data?.[name];
  const wrong = answer.errors?.[0] ?? payload?.userErrors[0];
  if (wrong) throw new Error(wrong.message);
  return payload;
}

const door = doors[location.pathname];
const form = document.querySelector("form");
const output = document.querySelector("output");
document.querySelector("h1").textContent = door.title;
for (const { name, label, type, autocomplete, optional } of door.fields) {
  const input = Object.assign(document.createElement("input"), { name, type, required: !optional });
  if (autocomplete) input.autocomplete = autocomplete;
  const row = document.createElement("label");
  row.append(label, input);
  form.append(row);
}
form.append(Object.assign(document.createElement("button"), { textContent: door.button }));
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  output.textContent = "…";
  try {
    await door.open(Object.fromEntries(new FormData(form)));
    form.remove();
    output.textContent = door.done;
  } catch (error) {
    output.textContent = error.message;
  }
});
if (!token) output.textContent = "The link is incomplete: nothing stands behind #token=. Copy it from the mail as a whole.";
